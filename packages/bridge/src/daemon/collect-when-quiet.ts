import { performance } from "node:perf_hooks";

const EVERY_MS = 2000;
/** Share of the time that the event loop worked, below which nobody notices a pause of some ten milliseconds. */
const QUIET = 0.01;
const GROWN_BYTES = 8 * 1024 * 1024;

/**
 * Collects garbage in quiet moments. By itself V8 keeps what a start or a launch left behind, some 16 MiB, until it needs
 * the space. Without `--expose-gc` nothing happens.
 */
export function collectWhenQuiet(collect: (() => void) | undefined = globalThis.gc): Disposable {
  let kept = 0;
  let seen = performance.eventLoopUtilization();
  const look = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, seen);
    seen = now;
    if (collect === undefined || utilization > QUIET || usedBytes() < kept + GROWN_BYTES) return;
    collect();
    kept = usedBytes();
  };
  const timer = setInterval(look, EVERY_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
