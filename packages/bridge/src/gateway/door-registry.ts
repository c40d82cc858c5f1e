import { DoorwardError } from "@doorward/contracts";
import type { Door, DoorEndpoint, DoorEntry } from "@doorward/doors";

/** An endpoint, and the door that serves it. */
export interface DoorPlace {
  readonly entry: DoorEntry;
  readonly endpoint: DoorEndpoint;
}

/** The doors by path segment; each is loaded when it is first used, once. */
export class DoorRegistry implements AsyncDisposable {
  readonly #places: ReadonlyMap<string, DoorPlace>;
  readonly #loaded = new Map<DoorEntry, Promise<Door>>();

  constructor(entries: readonly DoorEntry[]) {
    this.#places = new Map(
      entries.flatMap((entry) =>
        entry.endpoints.map((endpoint): [string, DoorPlace] => [endpoint.segment, { entry, endpoint }]),
      ),
    );
  }

  /** Whether a door is served at a path segment. */
  has(segment: string): boolean {
    return this.#places.has(segment);
  }

  /** The place of a path segment; throws DOOR_NOT_FOUND. */
  find(segment: string): DoorPlace {
    const place = this.#places.get(segment);
    if (place !== undefined) return place;
    throw new DoorwardError({
      code: "DOOR_NOT_FOUND",
      message: `Cannot open door "${segment.slice(0, 60)}": this bridge serves ${[...this.#places.keys()].join(", ")}`,
    });
  }

  /** The door itself; a failed load is tried again the next time. */
  load(entry: DoorEntry): Promise<Door> {
    const known = this.#loaded.get(entry);
    if (known !== undefined) return known;
    const loading = entry.load();
    this.#loaded.set(entry, loading);
    loading.catch(() => this.#loaded.delete(entry));
    return loading;
  }

  /** Closes the doors that were loaded. */
  async [Symbol.asyncDispose](): Promise<void> {
    const doors = await Promise.allSettled(this.#loaded.values());
    this.#loaded.clear();
    const loaded = doors.flatMap((door) => (door.status === "fulfilled" ? [door.value] : []));
    await Promise.allSettled(loaded.map((door) => door[Symbol.asyncDispose]()));
  }
}
