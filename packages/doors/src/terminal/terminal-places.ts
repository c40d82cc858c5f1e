import { DenialError } from "@doorward/contracts";
import type { DoorSession } from "../door.ts";

/**
 * The terminals that each machine has as far as this bridge knows: those that were opened here and not seen to end, and
 * those that somebody watches. A machine's word only ever frees the place of a terminal that nobody watches, so that no
 * lie of it makes the bridge serve more terminals at once than its profile allows.
 */
export class TerminalPlaces {
  readonly #machines = new Map<string, Map<string, Place>>();

  /** Takes the place of a terminal for one viewer, until it is disposed. Throws TERMINAL_LIMIT when there is none left. */
  async take(session: DoorSession, terminal: string): Promise<TerminalPlace> {
    const limit = session.spec.attach.maxTerminals;
    if (this.#full(session.machine.id, terminal, limit)) await this.#freeEnded(session);
    if (this.#full(session.machine.id, terminal, limit)) throw noPlace(session, limit);
    const places = this.#placesOf(session.machine.id);
    const place = places.get(terminal) ?? { viewers: 0, runs: false, reached: 0 };
    places.set(terminal, place);
    place.viewers += 1;
    return new TerminalPlace(place, () => this.#leave(session.machine.id, terminal, place));
  }

  #full(machine: string, terminal: string, limit: number): boolean {
    const places = this.#machines.get(machine);
    return places !== undefined && !places.has(terminal) && places.size >= limit;
  }

  async #freeEnded({ machine, host, signal }: DoorSession): Promise<void> {
    const running = new Set(await host.runningTerminals(signal));
    for (const [terminal, place] of this.#placesOf(machine.id)) {
      if (place.viewers === 0 && !running.has(terminal)) this.#remove(machine.id, terminal);
    }
  }

  #leave(machine: string, terminal: string, place: Place): void {
    place.viewers -= 1;
    if (place.viewers === 0 && !place.runs) this.#remove(machine, terminal);
  }

  #placesOf(machine: string): Map<string, Place> {
    const places = this.#machines.get(machine) ?? new Map<string, Place>();
    this.#machines.set(machine, places);
    return places;
  }

  #remove(machine: string, terminal: string): void {
    const places = this.#machines.get(machine);
    places?.delete(terminal);
    if (places?.size === 0) this.#machines.delete(machine);
  }
}

interface Place {
  viewers: number;
  /** Whether it was seen to run, and not seen to end. */
  runs: boolean;
  /** Length of its output as far as any viewer has seen. */
  reached: number;
}

/** The place of a terminal, held for one of its viewers. */
export class TerminalPlace implements Disposable {
  readonly #place: Place;
  readonly #leave: () => void;
  #left = false;

  constructor(place: Place, leave: () => void) {
    this.#place = place;
    this.#leave = leave;
  }

  /** Oldest position of output that a viewer who comes now may get, when so many bytes are kept. */
  oldest(scrollbackBytes: number): number {
    return Math.max(0, this.#place.reached - scrollbackBytes);
  }

  /** Notes how far the terminal's output goes. */
  reached(position: number): void {
    this.#place.reached = Math.max(this.#place.reached, position);
  }

  /** Notes that the terminal runs, or that it has ended. */
  set runs(runs: boolean) {
    this.#place.runs = runs;
  }

  [Symbol.dispose](): void {
    if (!this.#left) this.#leave();
    this.#left = true;
  }
}

function noPlace({ machine }: DoorSession, limit: number): DenialError {
  return new DenialError({
    code: "TERMINAL_LIMIT",
    rule: "profile.doors.terminal.attach.maxTerminals",
    message: `Cannot open another terminal: machine "${machine.name}" has ${String(limit)} of ${String(limit)}`,
  });
}
