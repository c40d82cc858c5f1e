import { DenialError, DoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import type { Placed } from "../evidence/index.ts";
import { NoteFile } from "./note-file.ts";
import { decodeNotes, encodeLine, type LeftNote, type LostRecord } from "./notes.ts";

/** How much is noted at once. */
export interface InFlightLimits {
  readonly notes: number;
  /** Bytes of the notes of what is under way. */
  readonly bytes: number;
  /** Bytes that the file may have beside twice those of what is under way. */
  readonly spareBytes: number;
}

export const IN_FLIGHT_LIMITS: InFlightLimits = {
  notes: 10_000,
  bytes: 16 * 1024 ** 2,
  spareBytes: 256 * 1024,
};

interface Live {
  readonly line: string;
  readonly record: LostRecord;
  readonly recordIds: string[];
}

/**
 * What is under way in the bridge and has no record yet, in a file: one write when something begins, one before its record
 * is written, none of them waited for on the disk. What a bridge that is killed leaves there the next one records.
 */
export class InFlight implements Disposable {
  readonly #file: NoteFile;
  readonly #log: Logger;
  readonly #limits: InFlightLimits;
  readonly #live = new Map<number, Live>();
  #liveBytes = 0;
  #next: number;

  /** Opens the file; what is left in it is under way until it is ended or forgotten. */
  constructor(path: string, log: Logger, limits: InFlightLimits = IN_FLIGHT_LIMITS) {
    this.#file = new NoteFile(path);
    this.#log = log;
    this.#limits = limits;
    const most = 2 * limits.bytes + 2 * limits.spareBytes;
    const { notes, next, unreadable } = decodeNotes(this.#file.read(most), limits.notes);
    this.#next = next;
    for (const left of notes) this.#keep(left.note, left.record, [...left.recordIds]);
    if (unreadable > 0 || this.#file.size > most)
      log.warn({ path, unreadable, bytes: this.#file.size }, "parts of the notes of calls can't be read");
  }

  /** What is under way, oldest first. */
  get left(): readonly LeftNote[] {
    return [...this.#live].map(([note, { record, recordIds }]) => ({ note, record, recordIds }));
  }

  /** The note of a session; undefined when none is under way. */
  session(id: string): LeftNote | undefined {
    return this.left.find(({ record }) => record.type === "session-close" && record.session === id);
  }

  /** Notes what begins; answers the note's number. EVIDENCE_UNWRITABLE, or RATE_LIMITED when too much is under way. */
  begin(record: LostRecord): number {
    const { notes, bytes } = this.#limits;
    if (this.#live.size >= notes || this.#liveBytes >= bytes) throw tooMany(this.#live.size);
    const note = this.#next;
    this.#write(note, record);
    this.#next += 1;
    return note;
  }

  /** Notes something more of what is under way. */
  change(note: number, record: LostRecord): void {
    if (this.#live.has(note)) this.#write(note, record);
  }

  /** Notes under which ids records are about to be written. */
  placing(placed: readonly Placed[]): void {
    for (const { note, recordId } of placed) this.#live.get(note)?.recordIds.push(recordId);
    this.#tell(encodeLine({ placed: placed.map(({ note, recordId }) => [note, recordId]) }));
  }

  /** Its record is durable. */
  ended(note: number): void {
    this.#drop(note);
    this.#tidy();
  }

  /** It has no record, and gets none. */
  forget(note: number): void {
    if (!this.#drop(note)) return;
    this.#tell(encodeLine({ forgotten: note }));
    this.#tidy();
  }

  [Symbol.dispose](): void {
    if (this.#live.size === 0 && this.#file.size > 0) this.#try(() => this.#file.clear());
    this.#file[Symbol.dispose]();
  }

  #write(note: number, record: LostRecord): void {
    const line = encodeLine({ begun: note, record });
    try {
      this.#file.append(line);
    } catch (cause) {
      throw unwritable(cause);
    }
    this.#keep(note, record, this.#live.get(note)?.recordIds ?? [], line);
  }

  #keep(note: number, record: LostRecord, recordIds: string[], line?: string): void {
    this.#drop(note);
    const kept = { record, recordIds, line: line ?? encodeLine({ begun: note, record }) };
    this.#live.set(note, kept);
    this.#liveBytes += kept.line.length;
  }

  #drop(note: number): boolean {
    const live = this.#live.get(note);
    if (live !== undefined) this.#liveBytes -= live.line.length;
    return this.#live.delete(note);
  }

  /** Keeps the file short: it is empty now and then, or holds what is under way alone. */
  #tidy(): void {
    if (this.#file.size <= this.#limits.spareBytes + 2 * this.#liveBytes) return;
    this.#try(() => {
      if (this.#live.size === 0) this.#file.clear();
      else this.#file.replace([...this.#live].map(linesOf).join(""));
    });
  }

  /** Without these lines a bridge that is killed now has one record more than there should be, and nothing else is wrong. */
  #tell(line: string): void {
    this.#try(() => this.#file.append(line));
  }

  #try(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#log.error({ err: error }, "the notes of calls can't be written");
    }
  }
}

function linesOf([note, { line, recordIds }]: [number, Live]): string {
  if (recordIds.length === 0) return line;
  return line + encodeLine({ placed: recordIds.map((recordId) => [note, recordId]) });
}

function unwritable(cause: unknown): DoorwardError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DoorwardError({
    code: "EVIDENCE_UNWRITABLE",
    message: `Cannot begin: it can't be noted that it does: ${why}`,
    hint: "doorward doctor",
    cause,
  });
}

function tooMany(count: number): DenialError {
  return new DenialError({
    code: "RATE_LIMITED",
    rule: "evidence.in-flight",
    message: `Cannot begin: ${String(count)} calls, commands and connections are under way already`,
    hint: "Wait until some of them have ended",
  });
}
