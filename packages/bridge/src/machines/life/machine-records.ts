import type { Documents } from "../../store/index.ts";
import type { MachineRecord } from "./record.ts";

/** The stored machines, read once and kept in memory: whoever asks for a machine on a hot path gets it without parsing. */
export class MachineRecords {
  readonly #documents: Documents<MachineRecord>;
  readonly #records: Map<string, MachineRecord>;

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
  }

  delete(id: string): void {
    this.#documents.delete(id);
    this.#records.delete(id);
  }
}
