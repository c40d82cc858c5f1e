import type { DoorName, ErrorCode } from "@doorward/contracts";
import { BRIDGE_SUBJECT } from "../machines/life/index.ts";
import type { Appender } from "./grant-evidence.ts";

const PERIOD_MS = 60_000;

/** Counts refusals of callers without a valid token and records the counts once a minute, so that nobody fills the log. */
export class DenialCounter implements AsyncDisposable {
  readonly #log: Appender;
  readonly #policyHash: () => string;
  readonly #failed: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, { readonly code: ErrorCode; readonly door: DoorName | null; count: number }>();
  #from = new Date().toISOString();

  constructor(log: Appender, policyHash: () => string, failed: (error: unknown) => void) {
    this.#log = log;
    this.#policyHash = policyHash;
    this.#failed = failed;
    this.#timer = setInterval(() => void this.flush(), PERIOD_MS).unref();
  }

  /** Counts one refusal. */
  count(code: ErrorCode, door: DoorName | null): void {
    const key = `${code} ${door ?? ""}`;
    const row = this.#counts.get(key) ?? { code, door, count: 0 };
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
        counts: rows.slice(0, 100),
      })
      .catch(this.#failed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
