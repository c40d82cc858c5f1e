import { constants } from "node:fs";
import { type FileHandle, open, readFile, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "./files.ts";
import {
  decodeJournal,
  encodeGroup,
  encodeHead,
  type JournalContent,
  type JournalStart,
} from "./journal-format.ts";

/** Space that is written in advance, so that a group costs no change of the file's length. */
const STEP_BYTES = 4 * 1024 * 1024;

/** The last part of that space, kept for records that end something; ordinary ones are refused before it is touched. */
const RESERVE_BYTES = 512 * 1024;

/** Each write returns once it is on disk (as `write` and `fdatasync` would): one wait for another thread, not two. */
const DURABLE = constants.O_RDWR | constants.O_DSYNC | constants.O_NOFOLLOW;

/**
 * The durable tail of the log: one file of groups, each written durably at once into space that was written before.
 * What the tiles hold durably is dropped from its front by {@link restart}.
 */
export class Journal implements AsyncDisposable {
  readonly #path: string;
  #file: FileHandle;
  #end: number;
  #capacity: number;
  /** Whether it is durable that the path leads to this file; until then no record in it is. */
  #named = false;

  private constructor(path: string, file: FileHandle, end: number, capacity: number) {
    this.#path = path;
    this.#file = file;
    this.#end = end;
    this.#capacity = capacity;
  }

  /** Makes a journal where none is; durable when it returns. */
  static async create(path: string, start: JournalStart): Promise<Journal> {
    const { file, end, capacity } = await writeJournal(path, start, []);
    const journal = new Journal(path, file, end, capacity);
    try {
      await journal.#name();
    } catch (error) {
      await file.close();
      throw error;
    }
    return journal;
  }

  /** Opens a journal, gives back what it holds, and wipes a torn group at its end. */
  static async open(path: string): Promise<{ readonly journal: Journal; readonly content: JournalContent }> {
    const bytes = await readFile(path);
    const content = decodeJournal(bytes);
    const file = await open(path, DURABLE);
    try {
      if (content.torn > 0) await writeDurably(file, Buffer.alloc(content.torn), content.end);
    } catch (error) {
      await file.close();
      throw error;
    }
    return { journal: new Journal(path, file, content.end, bytes.length), content };
  }

  /** Bytes that groups take up. */
  get usedBytes(): number {
    return this.#end;
  }

  /** Whether a group of this length fits beside the reserve (or into it), after asking the disk for more space. */
  async hasRoom(bytes: number, useReserve: boolean, mayExtend: boolean): Promise<boolean> {
    const needed = this.#end + bytes + (useReserve ? 0 : RESERVE_BYTES);
    if (needed <= this.#capacity) return true;
    if (mayExtend) await this.#extend(Math.max(STEP_BYTES, needed + RESERVE_BYTES - this.#capacity));
    return needed <= this.#capacity;
  }

  /** Writes a group; it is durable when this returns. After a failure the next group takes its place. */
  async write(firstIndex: number, entries: readonly Buffer[]): Promise<void> {
    const group = encodeGroup(firstIndex, entries);
    await this.#name();
    await writeDurably(this.#file, group, this.#end);
    this.#end += group.length;
  }

  /**
   * Puts a new journal in place of this one; the old one stays whole until the new one is durable. From the rename on
   * the new one is written to, whatever fails behind it: the old one has no name any more.
   */
  async restart(start: JournalStart, entries: readonly Buffer[]): Promise<void> {
    const { file, end, capacity } = await writeJournal(this.#path, start, entries);
    const old = this.#file;
    this.#file = file;
    this.#end = end;
    this.#capacity = capacity;
    this.#named = false;
    await old.close();
    await this.#name();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #name(): Promise<void> {
    if (this.#named) return;
    await syncFolder(dirname(this.#path));
    this.#named = true;
  }

  /** Writes more space in advance; on a disk that fills up meanwhile, as much as there is. */
  async #extend(bytes: number): Promise<void> {
    try {
      await writeDurably(this.#file, Buffer.alloc(bytes), this.#capacity);
      this.#capacity += bytes;
    } catch {
      this.#capacity = Math.max(this.#capacity, await this.#durableLength());
    }
  }

  async #durableLength(): Promise<number> {
    try {
      const { size } = await this.#file.stat();
      await this.#file.datasync();
      return size;
    } catch {
      return 0;
    }
  }
}

/** The caller makes the name durable. */
async function writeJournal(path: string, start: JournalStart, entries: readonly Buffer[]) {
  const temporary = `${path}.tmp`;
  const head = encodeHead(start);
  const used = entries.length === 0 ? head : Buffer.concat([head, encodeGroup(start.base, entries)]);
  const capacity = used.length + STEP_BYTES + RESERVE_BYTES;
  await unlink(temporary).catch(() => undefined);
  const file = await open(temporary, DURABLE | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await writeDurably(file, Buffer.concat([used, Buffer.alloc(capacity - used.length)]), 0);
    await rename(temporary, path);
  } catch (error) {
    await file.close();
    // on a full disk it would keep the space that others need
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  return { file, end: used.length, capacity };
}

/** To a file that was opened as `DURABLE`. */
async function writeDurably(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
