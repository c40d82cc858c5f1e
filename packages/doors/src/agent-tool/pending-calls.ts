import type { ToolName } from "@doorward/contracts";
import { DenialError } from "@doorward/contracts";
import type { CallOutcome } from "./tool-caller.ts";

/** Where a call stands that needs the operator. */
export type PendingState = "waiting" | "running" | "refused" | "done";

/** A call that waits for the operator, or did. */
export interface PendingCall {
  /** Id of the question, as the operator sees it. */
  readonly id: string;
  readonly tool: ToolName;
  /** Digest of tool, arguments, machine and grant. */
  readonly key: string;
  /** When the question is refused by itself, RFC 3339. */
  readonly expiresAt: string;
  readonly state: PendingState;
  /** What became of it; null while it waits or runs. */
  readonly outcome: CallOutcome | null;
}

/** A call as whoever runs it tells how it goes on. */
export interface PendingHandle {
  /** The operator agreed; it runs now. */
  running(): void;
  /** It is over. */
  ended(state: "refused" | "done", outcome: CallOutcome): void;
}

/** Most calls of one session that wait for the operator at once. */
const MOST_WAITING = 20;
/** Calls that are over and whose outcome can still be fetched. */
const MOST_OVER = 20;

interface Entry {
  call: PendingCall;
  readonly wake: Set<() => void>;
}

/** The calls of one session that wait for the operator, or whose answer waits to be fetched. */
export class PendingCalls implements AsyncDisposable {
  readonly #signal: AbortSignal;
  readonly #entries = new Map<string, Entry>();
  readonly #working = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Aborts when the session is over, and with it everything that waits. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#signal, this.#closing.signal]);
  }

  /** Whether a call waits or runs. */
  get busy(): boolean {
    return [...this.#entries.values()].some(({ call }) => call.outcome === null);
  }

  /** The same call, while nobody decided about it. */
  undecided(key: string): PendingCall | undefined {
    return [...this.#entries.values()].find(({ call }) => call.key === key && call.outcome === null)?.call;
  }

  /** Asks one question after the other, so that calls at the same time are counted, and the same call is asked once. */
  inTurn<T>(ask: () => Promise<T>): Promise<T> {
    const asked = this.#turn.then(ask);
    this.#turn = asked.catch(() => undefined);
    return asked;
  }

  /** Throws RATE_LIMITED when as many wait as may. */
  refuseMany(): void {
    const waiting = [...this.#entries.values()].filter(({ call }) => call.outcome === null).length;
    if (waiting < MOST_WAITING) return;
    throw new DenialError({
      code: "RATE_LIMITED",
      rule: "agent-tool.pending",
      message: `Cannot ask the operator: ${String(waiting)} calls of this session wait already`,
      hint: "Wait until some are decided; check_approval tells",
    });
  }

  /** Keeps a call that waits; `work` is what waits for the decision and tells the handle of it. */
  add(
    waiting: Pick<PendingCall, "id" | "tool" | "key" | "expiresAt">,
    work: (handle: PendingHandle) => Promise<void>,
  ): PendingCall {
    const entry: Entry = { call: { ...waiting, state: "waiting", outcome: null }, wake: new Set() };
    this.#entries.set(waiting.id, entry);
    const change = (changes: Pick<PendingCall, "state" | "outcome">): void => {
      entry.call = { ...entry.call, ...changes };
      for (const wake of [...entry.wake]) wake();
    };
    const working = work({
      running: () => change({ state: "running", outcome: null }),
      ended: (state, outcome) => change({ state, outcome }),
    });
    this.#working.add(working);
    void working.finally(() => this.#working.delete(working));
    this.#forget();
    return entry.call;
  }

  /** A call by the id of its question; undefined for none. */
  get(id: string): PendingCall | undefined {
    return this.#entries.get(id)?.call;
  }

  /** Waits until a call is over, so long passed, or the signal is aborted. */
  async wait(id: string, ms: number, signal: AbortSignal): Promise<PendingCall | undefined> {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.call.outcome !== null || ms === 0 || signal.aborted) return entry?.call;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (entry.call.outcome !== null) done();
      };
      const done = (): void => {
        clearTimeout(timer);
        entry.wake.delete(look);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      entry.wake.add(look);
      signal.addEventListener("abort", done, { once: true });
    });
    return entry.call;
  }

  /** Withdraws what waits, and waits until what runs was cut and recorded. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#working);
  }

  #forget(): void {
    const over = [...this.#entries.values()].filter(({ call }) => call.outcome !== null);
    for (const { call } of over.slice(0, Math.max(0, over.length - MOST_OVER))) this.#entries.delete(call.id);
  }
}
