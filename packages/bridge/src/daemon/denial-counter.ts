import type { CountedDenial } from "../gateway/index.ts";
import { BRIDGE_SUBJECT } from "../machines/life/index.ts";
import type { Appender } from "./grant-evidence.ts";

const PERIOD_MS = 60_000;

/** Most kinds of refusals that one record names. */
const ROWS = 100;

/** Most records of one minute. A known caller is counted only beyond 60 records of its own, so these add little to them. */
const RECORDS = 10;

interface Counted extends CountedDenial {
  count: number;
}

/** Counts refusals that get no record of their own, and records the counts once a minute, so that nobody fills the log. */
export class DenialCounter implements AsyncDisposable {
  readonly #log: Appender;
  readonly #policyHash: () => string;
  readonly #failed: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, Counted>();
  #from = new Date().toISOString();

  constructor(log: Appender, policyHash: () => string, failed: (error: unknown) => void) {
    this.#log = log;
    this.#policyHash = policyHash;
    this.#failed = failed;
    this.#timer = setInterval(() => void this.flush(), PERIOD_MS).unref();
  }

  /** Counts one refusal. */
  count({ code, door, subject }: CountedDenial): void {
    const key = `${code} ${door ?? ""} ${subject ?? ""}`;
    const row = this.#counts.get(key) ?? { code, door, subject, count: 0 };
    row.count += 1;
    this.#counts.set(key, row);
  }

  /** Records what was counted, if anything was; what does not fit is in the total of the last record. */
  async flush(): Promise<void> {
    const rows = [...this.#counts.values()].sort(knownFirst);
    const period = { from: this.#from, to: new Date().toISOString() };
    this.#counts = new Map();
    this.#from = period.to;
    const records = Math.min(RECORDS, Math.ceil(rows.length / ROWS));
    for (let at = 0; at < records; at += 1) {
      const named = rows.slice(at * ROWS, (at + 1) * ROWS);
      const unnamed = at === RECORDS - 1 ? rows.slice(RECORDS * ROWS) : [];
      await this.#append(period, sum(named) + sum(unnamed), named).catch(this.#failed);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #append(
    period: { readonly from: string; readonly to: string },
    total: number,
    rows: readonly Counted[],
  ): Promise<void> {
    await this.#log.append({
      type: "denials",
      correlationId: `denials:${period.from}`,
      subject: BRIDGE_SUBJECT,
      machine: null,
      grant: null,
      policyHash: this.#policyHash(),
      ...period,
      total,
      counts: rows.map(rowOf),
    });
  }
}

/** What known callers were refused goes before what anybody can cause, and the most of each first. */
function knownFirst(one: Counted, other: Counted): number {
  return Number(one.subject === null) - Number(other.subject === null) || other.count - one.count;
}

function sum(rows: readonly Counted[]): number {
  return rows.reduce((total, { count }) => total + count, 0);
}

function rowOf({ code, door, subject, count }: Counted) {
  return { code, door, ...(subject === null ? {} : { subject }), count };
}
