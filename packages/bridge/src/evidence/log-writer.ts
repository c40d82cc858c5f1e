import { setImmediate as turn } from "node:timers/promises";
import { DoorwardError, toDoorwardError, type EvidenceInput, type EvidenceType } from "@doorward/contracts";
import { GROUP_HEAD_BYTES } from "./journal-format.ts";
import type { Journal } from "./journal.ts";
import type { EvidenceKey } from "./key.ts";
import { stopping, unwritable } from "./log-errors.ts";
import type { LogTail } from "./log-tail.ts";
import { prepareRecord, sealRecord, type PreparedRecord, type SealedRecord } from "./record.ts";

/** How records are grouped. */
const limits = {
  /** Most records made durable by one `fdatasync`. */
  groupRecords: 512,
  /** Groups of at most so many records are signed on this thread. */
  signedNow: 4,
} as const;

/** Records that end or refuse something: they may use the reserved space when ordinary ones are refused. */
const closingTypes: ReadonlySet<EvidenceType> = new Set<EvidenceType>([
  "machine-end",
  "session-close",
  "grant-revoked",
  "grant-expired",
  "bridge-stop",
]);

/** Where a record went. */
export interface Appended {
  readonly index: number;
  readonly recordId: string;
  /** RFC 6962 hash of the leaf, hex. */
  readonly leafHash: string;
}

/** Under which id a record that was noted when its call began is about to be written. */
export interface Placed {
  /** Number of the note. */
  readonly note: number;
  readonly recordId: string;
}

interface Waiting {
  readonly record: PreparedRecord;
  readonly note: number | null;
  readonly nextKey: EvidenceKey | null;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: DoorwardError) => void;
}

/** What a {@link LogWriter} writes to, and whom it tells. */
export interface LogWriterParts {
  readonly journal: Journal;
  readonly tail: LogTail;
  readonly key: EvidenceKey;
  /** Time of the newest record, milliseconds. */
  readonly lastAt: number;
  /** Called before noted records are written, so that whether one is in the log can be told by its id ever after. */
  readonly placing: (placed: readonly Placed[]) => void;
  /** Records became durable. */
  readonly written: () => void;
  /** Waited for behind each group, before the next. */
  readonly afterGroup: () => Promise<void>;
}

/** Makes records durable in groups, in their order, each at the place it is given here. */
export class LogWriter {
  readonly #parts: LogWriterParts;
  #key: EvidenceKey;
  #lastAt: number;
  #queue: Waiting[] = [];
  #draining: Promise<void> | null = null;
  #closed = false;

  constructor(parts: LogWriterParts) {
    this.#parts = parts;
    this.#key = parts.key;
    this.#lastAt = parts.lastAt;
  }

  /** The key that signs the next record. */
  get key(): EvidenceKey {
    return this.#key;
  }

  /** Appends a record; with a next key it is the rotation to that. Resolves when it is durable. */
  append(input: EvidenceInput, nextKey: EvidenceKey | null, note: number | null = null): Promise<Appended> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw stopping();
      this.#lastAt = Math.max(Date.now(), this.#lastAt);
      const record = prepareRecord(input, new Date(this.#lastAt).toISOString());
      this.#queue.push({ record, note, nextKey, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Takes no more, and waits for what was taken. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
  }

  async #drain(): Promise<void> {
    // What is appended in the same turn of the loop, such as a grant and the session that it is for, becomes one group.
    await turn();
    // Much at once is the end of something large: sockets that were cut by it are shut a turn later, and go first.
    if (this.#queue.length > limits.signedNow) await turn();
    while (this.#queue.length > 0) {
      const change = this.#queue.findIndex(({ nextKey }) => nextKey !== null);
      const end = change < 0 ? limits.groupRecords : Math.min(change + 1, limits.groupRecords);
      await this.#commit(this.#queue.splice(0, end));
      await this.#parts.afterGroup();
    }
    this.#draining = null;
  }

  /** Makes a group durable. One that finds no space is halved, so that everything that fits is kept. */
  async #commit(group: readonly Waiting[], mayExtend = true): Promise<void> {
    const { journal, tail } = this.#parts;
    const first = tail.size;
    try {
      const where = group.length <= limits.signedNow ? "now" : "beside";
      const sealed = await Promise.all(group.map((waiting, at) => this.#seal(waiting, first + at, where)));
      const useReserve = group.every(({ record }) => closingTypes.has(record.type));
      if (await journal.hasRoom(bytesOf(sealed), useReserve, mayExtend)) {
        this.#place(group, sealed);
        await journal.write(
          first,
          sealed.map(({ leaf }) => leaf),
        );
        this.#accept(group, sealed);
        return;
      }
      if (group.length === 1)
        throw new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message: "the disk is full" });
    } catch (error) {
      for (const { reject } of group) reject(unwritable(toDoorwardError(error)));
      return;
    }
    const middle = Math.ceil(group.length / 2);
    await this.#commit(group.slice(0, middle), false);
    await this.#commit(group.slice(middle), false);
  }

  #place(group: readonly Waiting[], sealed: readonly SealedRecord[]): void {
    const placed = sealed.flatMap(({ recordId }, at) => {
      const note = group[at]?.note ?? null;
      return note === null ? [] : [{ note, recordId }];
    });
    if (placed.length > 0) this.#parts.placing(placed);
  }

  #seal({ record, nextKey }: Waiting, index: number, where: "now" | "beside"): Promise<SealedRecord> {
    return sealRecord(record, index, nextKey === null ? [this.#key] : [this.#key, nextKey], where);
  }

  #accept(group: readonly Waiting[], sealed: readonly SealedRecord[]): void {
    for (const [at, { leaf, leafHash, keys, recordId }] of sealed.entries()) {
      const index = this.#parts.tail.size;
      this.#parts.tail.add(leaf, leafHash, keys);
      const waiting = group[at];
      if (waiting?.nextKey != null) this.#key = waiting.nextKey;
      waiting?.resolve({ index, recordId, leafHash: leafHash.toString("hex") });
    }
    this.#parts.written();
  }
}

function bytesOf(sealed: readonly SealedRecord[]): number {
  return sealed.reduce((sum, { leaf }) => sum + leaf.length + 2, GROUP_HEAD_BYTES);
}
