import { readFileSync } from "node:fs";
import type { Lease } from "./record.ts";

/** Clocks that a lease is measured by. */
export interface Clocks {
  /** Wall clock, milliseconds since 1970. */
  wall(): number;
  /** Seconds since boot, suspend included. */
  uptime(): number;
  bootId(): string;
}

/** The host's own clocks. */
export const hostClocks: Clocks = {
  wall: () => Date.now(),
  uptime: () => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]),
  bootId: () => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
};

/** A lease that begins now. */
export function beginLease(seconds: number, clocks: Clocks): Lease {
  const now = clocks.wall();
  return {
    startedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + seconds * 1000).toISOString(),
    bootId: clocks.bootId(),
    expiresAtUptime: clocks.uptime() + seconds,
  };
}

/** The same lease with more time, counted from its present end. */
export function extendLease(lease: Lease, seconds: number): Lease {
  return {
    ...lease,
    expiresAt: new Date(Date.parse(lease.expiresAt) + seconds * 1000).toISOString(),
    expiresAtUptime: lease.expiresAtUptime + seconds,
  };
}

/** Seconds that are left by whichever clock is ahead; zero or less when it is over. A lease of another boot is over. */
export function secondsLeft(lease: Lease, clocks: Clocks): number {
  if (lease.bootId !== clocks.bootId()) return 0;
  const byWall = (Date.parse(lease.expiresAt) - clocks.wall()) / 1000;
  return Math.min(byWall, lease.expiresAtUptime - clocks.uptime());
}
