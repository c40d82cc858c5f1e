import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { ApprovalGiven, Approvals, Question } from "../approvals/index.ts";
import type { BooksMachine } from "./books.ts";

/** A host and port that a machine wants to reach. */
export interface AskedPlace {
  readonly host: string;
  readonly port: number;
}

/** Somebody in a machine who asks in words, beside the programs whose connections wait. */
export interface Asker {
  readonly subject: string;
  /** Grant that lets it ask; null when none is involved. */
  readonly grant: string | null;
  readonly correlationId: string;
  /** Why, as it says itself: shown, never trusted. */
  readonly reason: string;
  /** Hears of the question that it waits for. */
  readonly onAsked?: ((question: { readonly id: string; readonly expiresAt: string }) => void) | undefined;
}

/** How a place is asked about. */
export interface AskingHow {
  readonly seconds: number;
  /** Who asks by himself; absent for the programs of the machine, whose questions are one. */
  readonly asker?: Asker;
}

interface Group {
  readonly key: string;
  readonly question: Question;
  /** Resolves once everything that was approved is recorded and in force. */
  readonly settled: Promise<void>;
  readonly places: Map<string, AskedPlace>;
  waiting: number;
  withdrawn: boolean;
}

const PLACES_PER_QUESTION = 50;
const WAITING_PER_MACHINE = 256;
const QUIET_AFTER_NO_MS = 600_000;
const QUIET_AFTER_SILENCE_MS = 60_000;

type Given = (machine: BooksMachine, places: readonly AskedPlace[], given: ApprovalGiven) => Promise<void>;

/**
 * Asks the operator about hosts that no rule names: one question for each machine at a time, which lists all that its
 * programs wait for, and one for each agent that asks by itself. What was refused is not asked again for a while, so
 * that a retrying program is not a flood.
 */
export class Asking {
  readonly #approvals: Approvals;
  readonly #given: Given;
  readonly #groups = new Map<string, Group>();
  readonly #quiet = new Map<string, number>();

  constructor(approvals: Approvals, given: Given) {
    this.#approvals = approvals;
    this.#given = given;
  }

  /** Whether the operator is asked about this now. */
  wouldAsk(machine: BooksMachine, place: AskedPlace, asker?: Asker): boolean {
    const group = this.#groups.get(groupKey(machine, asker));
    if ((this.#quiet.get(keyOf(machine, place)) ?? 0) > Date.now()) return false;
    if (group === undefined) return true;
    const room = group.places.has(placeKey(place)) || group.places.size < PLACES_PER_QUESTION;
    return room && group.waiting < WAITING_PER_MACHINE;
  }

  /**
   * Waits until the operator decided about this place and what he approved is recorded and in force; rejects when he
   * refused or nobody decided in time.
   */
  async wait(machine: BooksMachine, place: AskedPlace, how: AskingHow, signal: AbortSignal): Promise<void> {
    const group = this.#group(machine, place, how);
    group.waiting += 1;
    how.asker?.onAsked?.(group.question);
    try {
      await until(group.settled, signal);
    } finally {
      group.waiting -= 1;
      // An agent that gave up asks nothing any more; programs come back, so their question stands.
      if (how.asker !== undefined && group.waiting === 0) this.#withdraw(group);
    }
  }

  /** Withdraws the questions of a machine that ended. */
  end(machineId: string): void {
    for (const group of [...this.#groups.values()]) {
      if (group.key === machineId || group.key.startsWith(`${machineId} `)) this.#withdraw(group);
    }
    for (const key of this.#quiet.keys()) if (key.startsWith(`${machineId} `)) this.#quiet.delete(key);
  }

  #withdraw(group: Group): void {
    group.withdrawn = true;
    this.#forget(group);
    group.question[Symbol.dispose]();
  }

  #group(machine: BooksMachine, place: AskedPlace, how: AskingHow): Group {
    const found = this.#groups.get(groupKey(machine, how.asker));
    if (found?.places.has(placeKey(place)) === true) return found;
    if (found !== undefined) {
      const places = new Map(found.places).set(placeKey(place), place);
      if (found.question.amend(shown(machine, [...places.values()], how.asker))) {
        found.places.set(placeKey(place), place);
        return found;
      }
    }
    return this.#open(machine, place, how);
  }

  #open(machine: BooksMachine, place: AskedPlace, { seconds, asker }: AskingHow): Group {
    const question = this.#approvals.question({
      operation: "egress.open",
      requestedBy: asker?.subject ?? machine.subject,
      machine: { id: machine.id, name: machine.name },
      grant: asker?.grant ?? null,
      correlationId: asker?.correlationId ?? machine.id,
      ...shown(machine, [place], asker),
      shape: "asker",
      seconds,
    });
    const places = new Map([[placeKey(place), place]]);
    const settled = question.decided.then((given) => {
      this.#forget(group);
      return this.#given(machine, [...places.values()], given);
    });
    const group: Group = {
      key: groupKey(machine, asker),
      question,
      settled,
      places,
      waiting: 0,
      withdrawn: false,
    };
    this.#groups.set(group.key, group);
    // What could not be recorded or stored stays refused.
    settled.catch((error: unknown) => {
      this.#forget(group);
      if (!group.withdrawn) this.#keepQuiet(machine, group, toDoorwardError(error));
    });
    return group;
  }

  #forget(group: Group): void {
    if (this.#groups.get(group.key) === group) this.#groups.delete(group.key);
  }

  #keepQuiet(machine: BooksMachine, group: Group, error: DoorwardError): void {
    const silence = error.message.endsWith("nobody decided in time");
    const until = Date.now() + (silence ? QUIET_AFTER_SILENCE_MS : QUIET_AFTER_NO_MS);
    for (const [key, over] of this.#quiet) if (over <= Date.now()) this.#quiet.delete(key);
    for (const place of group.places.values()) this.#quiet.set(keyOf(machine, place), until);
  }
}

/** What the operator sees: every host, and what an approval means. */
function shown(
  machine: BooksMachine,
  places: readonly AskedPlace[],
  asker?: Asker,
): { title: string; lines: string[]; bound: unknown } {
  const [first, ...more] = places;
  const others = more.length === 0 ? "" : ` and ${more.length} more`;
  const why = asker === undefined ? [] : [`"${asker.subject}" asks, because: ${asker.reason.slice(0, 1000)}`];
  return {
    title: `Machine "${machine.name}" wants to reach ${first?.host.slice(0, 200) ?? ""}${others}`,
    lines: [
      ...why,
      ...places.map(({ host, port }) => `${host} port ${port}`),
      "Approved, the machine may send anything there: for as long as it exists, or for the time of --for",
    ],
    bound: places.map(({ host, port }) => ({ host, port })),
  };
}

function until<T>(decided: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(
        signal.reason instanceof Error
          ? signal.reason
          : new DoorwardError({ code: "ABORTED", message: "Stopped" }),
      );
    };
    if (signal.aborted) {
      stop();
      return;
    }
    signal.addEventListener("abort", stop, { once: true });
    decided.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** An agent asks in its own name, so that its approval is recorded as its own; machine ids hold no spaces. */
function groupKey({ id }: BooksMachine, asker?: Asker): string {
  return asker === undefined ? id : `${id} ${asker.subject}`;
}

function placeKey({ host, port }: AskedPlace): string {
  return `${host} ${port}`;
}

function keyOf(machine: BooksMachine, place: AskedPlace): string {
  return `${machine.id} ${placeKey(place)}`;
}
