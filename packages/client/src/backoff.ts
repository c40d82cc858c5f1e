/** Waits, or rejects with the signal's reason as soon as it aborts. */
export function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Milliseconds before try number `attempt` (from 0): 20, 40, 80 and so on up to one second. */
export function backoff(attempt: number): number {
  return Math.min(1000, 20 * 2 ** attempt);
}
