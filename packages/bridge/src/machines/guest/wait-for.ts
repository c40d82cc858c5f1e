import { DoorwardError } from "@doorward/contracts";
import { abortError } from "@doorward/guest";

/** Waits for something of a guest, but no longer than `timeoutMs` and not beyond an abort. */
export async function waitFor<Value>(
  promise: Promise<Value>,
  timeoutMs: number,
  signal: AbortSignal,
  what: string,
): Promise<Value> {
  promise.catch(() => undefined);
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(timedOut(what, timeoutMs)), timeoutMs);
    const aborted = (): void => reject(abortError(signal));
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) aborted();
    stop = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    };
  });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    stop();
  }
}

function timedOut(what: string, timeoutMs: number): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: `Cannot get ${what}: the machine's guest did not give it within ${String(timeoutMs / 1000)} s`,
  });
}
