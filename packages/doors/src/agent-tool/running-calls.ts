import { DenialError } from "@doorward/contracts";

/** How many calls run at once. */
export interface CallLimits {
  readonly perSession: number;
  readonly perMachine: number;
}

export const CALL_LIMITS: CallLimits = { perSession: 32, perMachine: 256 };

/** Counts the calls that run, and refuses what would be too much. */
export class RunningCalls {
  readonly #limits: CallLimits;
  readonly #counts = new Map<string, number>();

  constructor(limits: CallLimits) {
    this.#limits = limits;
  }

  /** Takes a place for a call of a session in a machine, until it is disposed. */
  take(session: string, machine: string): Disposable {
    const places = [
      { key: session, limit: this.#limits.perSession, of: "this session" },
      { key: machine, limit: this.#limits.perMachine, of: "this machine" },
    ];
    for (const { key, limit, of } of places) if (this.#count(key) >= limit) throw tooMany(limit, of);
    for (const { key } of places) this.#counts.set(key, this.#count(key) + 1);
    let given = false;
    return {
      [Symbol.dispose]: () => {
        if (given) return;
        given = true;
        for (const { key } of places) this.#give(key);
      },
    };
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  #give(key: string): void {
    const left = this.#count(key) - 1;
    if (left <= 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }
}

function tooMany(limit: number, of: string): DenialError {
  return new DenialError({
    code: "RATE_LIMITED",
    rule: "agent-tool.calls",
    message: `Cannot run another call: ${String(limit)} calls of ${of} run already`,
    hint: "Wait until one of them has answered",
  });
}
