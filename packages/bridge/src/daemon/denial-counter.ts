import type { CountedDenial } from "../gateway/index.ts";
import { BRIDGE_SUBJECT } from "../machines/life/index.ts";
import type { Appender } from "./grant-evidence.ts";

const PERIOD_MS = 60_000;

/** Most kinds of refusals that one record names. */
const ROWS = 100;

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

  /** Records what was counted, if anything was. */
  async flush(): Promise<void> {
    const counts = this.#counts;
    const from = this.#from;
    this.#counts = new Map();
    this.#from = new Date().toISOString();
    if (counts.size === 0) return;
    const rows = [...counts.values()];
    await this.#log
      .append({
        type: "denials",
        correlationId: `denials:${from}`,
        subject: BRIDGE_SUBJECT,
        machine: null,
        grant: null,
        policyHash: this.#policyHash(),
        from,
        to: this.#from,
        total: rows.reduce((sum, row) => sum + row.count, 0),
        counts: rows.sort(knownFirst).slice(0, ROWS).map(rowOf),
      })
      .catch(this.#failed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}

/** What known callers were refused goes before what anybody can cause, and the most of each first. */
function knownFirst(one: Counted, other: Counted): number {
  return Number(one.subject === null) - Number(other.subject === null) || other.count - one.count;
}

function rowOf({ code, door, subject, count }: Counted) {
  return { code, door, ...(subject === null ? {} : { subject }), count };
}
