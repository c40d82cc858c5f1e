import { DenialError, DoorwardError, type EgressAllowance } from "@doorward/contracts";
import type { Logger } from "pino";
import { freshId } from "../machines/life/names.ts";
import type { Documents } from "../store/index.ts";

/** What an allowance or denial by command is made from. */
export interface AllowanceAsk {
  readonly machine: string;
  readonly host: string;
  readonly ports: readonly number[];
  readonly effect: "allow" | "deny";
  readonly by: string;
  readonly expiresAt: string | null;
}

const MOST_PER_MACHINE = 500;
const LONGEST_TIMER_MS = 60_000;

/** What commands allowed and denied single machines: stored durably, and told when it is over. */
export class Allowances implements Disposable {
  readonly #documents: Documents<EgressAllowance>;
  readonly #ended: (allowance: EgressAllowance) => void;
  readonly #log: Logger;
  readonly #all: Map<string, EgressAllowance>;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    documents: Documents<EgressAllowance>,
    ended: (allowance: EgressAllowance) => void,
    log: Logger,
  ) {
    this.#documents = documents;
    this.#log = log;
    this.#ended = ended;
    this.#all = new Map(documents.list().map((each) => [each.id, each]));
    this.#arm();
  }

  /** Those of a machine that are not over, oldest first. */
  of(machine: string): EgressAllowance[] {
    const now = Date.now();
    return [...this.#all.values()]
      .filter((each) => each.machine === machine && !isOver(each, now))
      .sort((one, other) => (one.createdAt < other.createdAt ? -1 : 1));
  }

  /** Adds one in place of those of the same host and ports; durable when it returns. */
  add(ask: AllowanceAsk): EgressAllowance {
    const same = this.of(ask.machine).filter(
      (each) => each.host === ask.host && samePorts(each.ports, ask.ports),
    );
    if (this.of(ask.machine).length - same.length >= MOST_PER_MACHINE) throw tooMany(ask);
    const allowance: EgressAllowance = {
      ...ask,
      id: freshId("x"),
      ports: [...ask.ports],
      createdAt: new Date().toISOString(),
    };
    this.#documents.transaction(() => {
      for (const { id } of same) this.#documents.delete(id);
      this.#documents.put(allowance.id, allowance);
    });
    for (const { id } of same) this.#all.delete(id);
    this.#all.set(allowance.id, allowance);
    this.#arm();
    return allowance;
  }

  /** Ends those of a machine that `which` names; answers them. */
  end(machine: string, which: (allowance: EgressAllowance) => boolean): EgressAllowance[] {
    const ending = [...this.#all.values()].filter((each) => each.machine === machine && which(each));
    this.#documents.transaction(() => {
      for (const { id } of ending) this.#documents.delete(id);
    });
    for (const { id } of ending) this.#all.delete(id);
    return ending;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  /** A timer alone would be late after a suspend; it looks at the clock at least once a minute. */
  #arm(): void {
    clearTimeout(this.#timer);
    const ends = [...this.#all.values()].flatMap(({ expiresAt }) =>
      expiresAt === null ? [] : [Date.parse(expiresAt)],
    );
    if (ends.length === 0) return;
    const wait = Math.min(Math.max(0, Math.min(...ends) - Date.now()), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#expire(), wait).unref();
  }

  #expire(): void {
    const now = Date.now();
    for (const allowance of this.#all.values()) {
      if (!isOver(allowance, now)) continue;
      // It is over by the clock, whether that can be stored or not; the next bridge finds it over, too.
      this.#all.delete(allowance.id);
      try {
        this.#documents.delete(allowance.id);
      } catch (error) {
        this.#log.error(
          { err: error, allowance: allowance.id },
          "an egress allowance that is over stays stored",
        );
      }
      this.#ended(allowance);
    }
    this.#arm();
  }
}

function isOver({ expiresAt }: EgressAllowance, now: number): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= now;
}

function samePorts(one: readonly number[], other: readonly number[]): boolean {
  return one.toSorted().join() === other.toSorted().join();
}

function tooMany({ host }: AllowanceAsk): DoorwardError {
  return new DenialError({
    code: "RATE_LIMITED",
    rule: "egress.allowances",
    message: `Cannot allow "${host}": the machine has ${MOST_PER_MACHINE} allowances already`,
    hint: "Write a rule into policy.yaml",
  });
}
