import type { Bench } from "./bench.ts";
import type { Summary } from "./summary.ts";

/** The same work done by somebody else, or by nobody. */
export interface Beside {
  readonly name: string;
  /** Median; null when it could not be measured. */
  readonly value: number | null;
  readonly p99?: number | undefined;
  /** Why it could not be measured, and what would mend that. */
  readonly note?: string | undefined;
}

/** Units of a row. */
export type Unit = "ms" | "s" | "MB/s" | "records/s" | "MiB" | "ratio";

/** One measured row. */
export interface BenchRow {
  readonly name: string;
  readonly unit: Unit;
  /** Median where there are several samples. */
  readonly value: number;
  readonly p99?: number | undefined;
  readonly samples?: number | undefined;
  /** What the design asks for; absent where it asks for nothing. */
  readonly reach?: string | undefined;
  /** Whether it was reached; null when a peer that decides is missing. */
  readonly met?: boolean | null | undefined;
  readonly beside: readonly Beside[];
  readonly note?: string | undefined;
  /** Load average of the last minute when the row was done. */
  readonly load?: number | undefined;
}

/** A part of the bench: one word for `--only`, and what measures it. */
export interface BenchPart {
  readonly id: string;
  readonly title: string;
  readonly run: (bench: Bench) => Promise<readonly BenchRow[]>;
}

/** A peer's column from its samples. */
export function besideOf(name: string, { p50, p99 }: Summary): Beside {
  return { name, value: p50, p99 };
}

/** Whether `value` is at most `factor` times what stands beside it; null when that is missing. */
export function within(value: number, factor: number, beside: Beside | undefined): boolean | null {
  return beside?.value === null || beside?.value === undefined ? null : value <= factor * beside.value;
}
