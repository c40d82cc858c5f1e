import { secondsLeft, type Clocks } from "./lease.ts";
import type { MachineRecord } from "./record.ts";

const WARN_SECONDS = 600;
const TICK_MS = 1000;

/** What expiry asks of the machines. */
export interface Expiring {
  running(): Iterable<MachineRecord>;
  expire(id: string): void;
  warn(id: string, notice: string): void;
}

/** Looks every second, by both clocks, for machines whose time is over, and warns ten minutes before. */
export function watchExpiry(machines: Expiring, clocks: Clocks): Disposable {
  const warned = new Map<string, string>();
  const look = (): void => {
    for (const { id, name, lease } of machines.running()) {
      if (lease === null) continue;
      const left = secondsLeft(lease, clocks);
      if (left <= 0) machines.expire(id);
      else if (left <= WARN_SECONDS && warned.get(id) !== lease.expiresAt) {
        warned.set(id, lease.expiresAt);
        machines.warn(
          id,
          `Machine "${name}" stops at ${lease.expiresAt}; doorward extend ${name} 4h gives it more time`,
        );
      }
    }
  };
  const timer = setInterval(look, TICK_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
