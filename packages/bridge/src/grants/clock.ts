import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

/** The two clocks that a grant's time is measured by, both in milliseconds. */
export interface Clock {
  /** Time of day; jumps when it is set, goes on during suspend. */
  wall(): number;
  /** Time since some start; never jumps, may stand still during suspend. */
  monotonic(): number;
  /** Names the run of the monotonic clock: readings of different epochs can't be compared. */
  readonly epoch: string;
}

/** When something ends: whichever clock gets there first. */
export interface Deadline {
  readonly wall: number;
  readonly monotonic: number;
}

/** The clocks of this host. On Linux the monotonic one runs since boot, so it goes on across restarts of the bridge. */
export function systemClock(): Clock {
  return {
    wall: () => Date.now(),
    monotonic: () => Number(process.hrtime.bigint() / 1_000_000n),
    epoch: bootId(),
  };
}

/** Milliseconds until a deadline; zero or less once either clock has reached it. */
export function remaining(clock: Clock, deadline: Deadline): number {
  return Math.min(deadline.wall - clock.wall(), deadline.monotonic - clock.monotonic());
}

/** The earlier of two deadlines, on each clock. */
export function earlier(left: Deadline, right: Deadline): Deadline {
  return { wall: Math.min(left.wall, right.wall), monotonic: Math.min(left.monotonic, right.monotonic) };
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return randomUUID();
  }
}
