import { DoorwardError } from "@doorward/contracts";
import { abortError } from "@doorward/guest";

/** A wait is counted in steps of this. */
const STEP_MS = 250;

/**
 * Waits for something of a guest, but no longer than `timeoutMs` and not beyond an abort. Time in which the bridge itself
 * stood still, e.g. because the host did, counts as one short step: what arrived meanwhile is read before it is called late.
 */
export async function waitFor<Value>(
  promise: Promise<Value>,
  timeoutMs: number,
  signal: AbortSignal,
  what: string,
): Promise<Value> {
  promise.catch(() => undefined);
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    let left = Math.ceil(timeoutMs / STEP_MS);
    const timer = setInterval(() => {
      left -= 1;
      if (left <= 0) reject(timedOut(what, timeoutMs));
    }, STEP_MS);
    const aborted = (): void => reject(abortError(signal));
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) aborted();
    stop = () => {
      clearInterval(timer);
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
