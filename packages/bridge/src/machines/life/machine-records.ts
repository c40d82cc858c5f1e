import { DoorwardError } from "@doorward/contracts";
import type { Documents } from "../../store/index.ts";
import type { MachineRecord } from "./record.ts";

/** The stored machines, read once and kept in memory: whoever asks for a machine on a hot path gets it without parsing. */
export class MachineRecords {
  readonly #documents: Documents<MachineRecord>;
  readonly #records: Map<string, MachineRecord>;
  /** Machines whose end is known here alone, because the disk took no more. */
  readonly #unstored = new Set<string>();

  constructor(documents: Documents<MachineRecord>) {
    this.#documents = documents;
    this.#records = new Map(documents.list().map((record) => [record.id, record]));
  }

  get(id: string): MachineRecord | undefined {
    return this.#records.get(id);
  }

  /** Every machine, oldest first. */
  list(): readonly MachineRecord[] {
    return [...this.#records.values()].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  }

  /** The machine of an id or name. */
  find(nameOrId: string): MachineRecord | undefined {
    return this.#records.get(nameOrId) ?? this.list().find((record) => record.name === nameOrId);
  }

  /** Names of all machines, oldest first. */
  names(): readonly string[] {
    return this.list().map(({ name }) => name);
  }

  /** Durable when it returns. */
  put(record: MachineRecord): void {
    this.#documents.put(record.id, record);
    this.#records.set(record.id, record);
    this.#unstored.delete(record.id);
    this.#storeEnds();
  }

  /**
   * Puts a machine that ends, or has ended. A full disk must neither keep it running nor keep the others from being
   * served: then the store learns of it once it takes something again, or the next bridge finds its container gone.
   */
  putEnding(record: MachineRecord): void {
    try {
      this.put(record);
    } catch (error) {
      if (!(error instanceof DoorwardError) || error.code !== "STATE_UNWRITABLE") throw error;
      this.#records.set(record.id, record);
      this.#unstored.add(record.id);
    }
  }

  delete(id: string): void {
    this.#documents.delete(id);
    this.#records.delete(id);
    this.#unstored.delete(id);
    this.#storeEnds();
  }

  #storeEnds(): void {
    for (const id of [...this.#unstored]) {
      const record = this.#records.get(id);
      this.#unstored.delete(id);
      if (record !== undefined && !this.#stored(record)) return;
    }
  }

  #stored(record: MachineRecord): boolean {
    try {
      this.#documents.put(record.id, record);
      return true;
    } catch {
      this.#unstored.add(record.id);
      return false;
    }
  }
}
