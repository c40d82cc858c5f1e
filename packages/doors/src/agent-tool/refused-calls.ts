import { DenialError } from "@doorward/contracts";

/** How long the same call is not asked about again: after a refusal, and where nobody decided in time. */
const AFTER_MS: ReadonlyMap<string, number> = new Map([
  ["approvals.operator", 600_000],
  ["approvals.time", 60_000],
]);
const MOST = 2000;

/** Calls that the operator refused a moment ago: a call that does the same is refused at once instead of asking him again. */
export class RefusedCalls {
  readonly #until = new Map<string, { readonly over: number; readonly error: DenialError }>();

  /** Remembers a refusal of calls with this meaning; a question that was withdrawn is none. */
  add(key: string, error: DenialError): void {
    const now = Date.now();
    const time = AFTER_MS.get(error.rule);
    if (time === undefined) return;
    for (const [old, { over }] of this.#until)
      if (over <= now || this.#until.size >= MOST) this.#until.delete(old);
    const over = now + time;
    // Of two questions about the same, one may be left unanswered after the other was refused.
    if ((this.#until.get(key)?.over ?? 0) >= over) return;
    this.#until.delete(key);
    this.#until.set(key, { over, error });
  }

  /** Throws when the call was refused a moment ago. */
  check(key: string, tool: string): void {
    const found = this.#until.get(key);
    if (found === undefined || found.over <= Date.now()) return;
    throw new DenialError({
      code: "APPROVAL_DENIED",
      rule: found.error.rule,
      message: `Cannot call "${tool}": the same was asked a moment ago: ${found.error.message}`,
    });
  }
}
