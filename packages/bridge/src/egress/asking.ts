import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { ApprovalGiven, Approvals, Question } from "../approvals/index.ts";
import type { BooksMachine } from "./books.ts";

/** A host and port that a machine wants to reach. */
export interface AskedPlace {
  readonly host: string;
  readonly port: number;
}

interface Group {
  readonly question: Question;
  readonly places: Map<string, AskedPlace>;
  waiting: number;
}

const PLACES_PER_QUESTION = 50;
const WAITING_PER_MACHINE = 256;
const QUIET_AFTER_NO_MS = 600_000;
const QUIET_AFTER_SILENCE_MS = 60_000;

/**
 * Asks the operator about hosts that no rule names: one question for each machine at a time, which lists all that the
 * machine waits for. What was refused is not asked again for a while, so that a retrying program is not a flood.
 */
export class Asking {
  readonly #approvals: Approvals;
  readonly #given: (machine: BooksMachine, places: readonly AskedPlace[], given: ApprovalGiven) => void;
  readonly #groups = new Map<string, Group>();
  readonly #quiet = new Map<string, number>();

  constructor(
    approvals: Approvals,
    given: (machine: BooksMachine, places: readonly AskedPlace[], given: ApprovalGiven) => void,
  ) {
    this.#approvals = approvals;
    this.#given = given;
  }

  /** Whether the operator is asked about this now. */
  wouldAsk(machine: BooksMachine, place: AskedPlace): boolean {
    const group = this.#groups.get(machine.id);
    if ((this.#quiet.get(keyOf(machine, place)) ?? 0) > Date.now()) return false;
    if (group === undefined) return true;
    const room = group.places.has(placeKey(place)) || group.places.size < PLACES_PER_QUESTION;
    return room && group.waiting < WAITING_PER_MACHINE;
  }

  /** Waits until the operator decided about this place; rejects when he refused or nobody decided in time. */
  async wait(machine: BooksMachine, place: AskedPlace, seconds: number, signal: AbortSignal): Promise<void> {
    const group = this.#group(machine, place, seconds);
    group.waiting += 1;
    try {
      await until(group.question.decided, signal);
    } finally {
      group.waiting -= 1;
    }
  }

  /** Withdraws the question of a machine that ended. */
  end(machineId: string): void {
    this.#groups.get(machineId)?.question[Symbol.dispose]();
    this.#groups.delete(machineId);
    for (const key of this.#quiet.keys()) if (key.startsWith(`${machineId} `)) this.#quiet.delete(key);
  }

  #group(machine: BooksMachine, place: AskedPlace, seconds: number): Group {
    const found = this.#groups.get(machine.id);
    if (found?.places.has(placeKey(place)) === true) return found;
    if (found !== undefined) {
      const places = new Map(found.places).set(placeKey(place), place);
      if (found.question.amend(shown(machine, [...places.values()]))) {
        found.places.set(placeKey(place), place);
        return found;
      }
    }
    return this.#open(machine, place, seconds);
  }

  #open(machine: BooksMachine, place: AskedPlace, seconds: number): Group {
    const question = this.#approvals.question({
      operation: "egress.open",
      requestedBy: machine.subject,
      machine: { id: machine.id, name: machine.name },
      grant: null,
      correlationId: machine.id,
      ...shown(machine, [place]),
      shape: "asker",
      seconds,
    });
    const group: Group = { question, places: new Map([[placeKey(place), place]]), waiting: 0 };
    this.#groups.set(machine.id, group);
    // Listens before anybody who waits, so that they find what was allowed; what could not be stored stays refused.
    question.decided
      .then((given) => {
        this.#forget(machine, group);
        this.#given(machine, [...group.places.values()], given);
      })
      .catch((error: unknown) => {
        this.#forget(machine, group);
        this.#keepQuiet(machine, group, toDoorwardError(error));
      });
    return group;
  }

  #forget(machine: BooksMachine, group: Group): void {
    if (this.#groups.get(machine.id) === group) this.#groups.delete(machine.id);
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
): { title: string; lines: string[]; bound: unknown } {
  const [first, ...more] = places;
  const others = more.length === 0 ? "" : ` and ${more.length} more`;
  return {
    title: `Machine "${machine.name}" wants to reach ${first?.host.slice(0, 200) ?? ""}${others}`,
    lines: [
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

function placeKey({ host, port }: AskedPlace): string {
  return `${host} ${port}`;
}

function keyOf(machine: BooksMachine, place: AskedPlace): string {
  return `${machine.id} ${placeKey(place)}`;
}
