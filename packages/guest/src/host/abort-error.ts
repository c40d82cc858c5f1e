import { DoorwardError, toDoorwardError } from "@doorward/contracts";

/** Why a signal was aborted: its reason where that is an error of ours, TIMED_OUT for a time-out, ABORTED otherwise. */
export function abortError(signal: AbortSignal): DoorwardError {
  const reason: unknown = signal.reason;
  if (reason instanceof Error && reason.name === "TimeoutError") {
    return new DoorwardError({
      code: "TIMED_OUT",
      message: "Cannot wait any longer: the time is over",
      cause: reason,
    });
  }
  return toDoorwardError(reason);
}
