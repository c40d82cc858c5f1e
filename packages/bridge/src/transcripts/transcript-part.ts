import { constants } from "node:fs";
import { open, statfs, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import type { TranscriptFile } from "@doorward/doors";
import type { Logger } from "pino";

/** Space that transcripts leave on the disk, for evidence; keeping one needs its length once more. */
const RESERVE_BYTES = 256 * 1024 * 1024;
/** The disk is looked at again after so many bytes. */
const LOOK_BYTES = 4 * 1024 * 1024;
/** Most bytes that wait for a slow disk. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/** Why a transcript was not written to its end. */
type Stop = "the disk is nearly full" | "the disk is too slow" | "the disk fails";

/** The file of a session that is being recorded. What was written survives the bridge; a write that fails ends it. */
export class TranscriptPart implements TranscriptFile {
  /** Resolves once nothing more is written; never rejects. */
  readonly ended: Promise<void>;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #log: Logger;
  #end: () => void = () => undefined;
  #lines: string[] = [];
  #waiting = 0;
  #written = 0;
  #lookAt = LOOK_BYTES;
  #stop: Stop | undefined;
  #writing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** Begins a file; EVIDENCE_UNWRITABLE where the disk is nearly full. */
  static async open(path: string, log: Logger): Promise<TranscriptPart> {
    if ((await freeBytes(path)) < RESERVE_BYTES) throw full();
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return new TranscriptPart(path, await open(path, flags, 0o600), log);
  }

  private constructor(path: string, file: FileHandle, log: Logger) {
    this.#path = path;
    this.#file = file;
    this.#log = log;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get stopped(): boolean {
    return this.#stop !== undefined;
  }

  write(line: string): void {
    if (this.stopped || this.#closing !== undefined) return;
    this.#lines.push(line);
    this.#waiting += line.length;
    if (this.#waiting > MAX_WAITING_BYTES) this.#stopBecause("the disk is too slow");
    this.#writing ??= this.#drain();
  }

  /** Writes what waits and closes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writing;
    await this.#file.close().catch((error: unknown) => this.#failed(error));
    this.#end();
  }

  async #drain(): Promise<void> {
    try {
      while (this.#lines.length > 0) {
        const bytes = Buffer.from(this.#lines.join(""));
        this.#lines = [];
        this.#waiting = 0;
        await this.#file.writeFile(bytes);
        this.#written += bytes.length;
        if (this.#written > this.#lookAt) await this.#look();
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#writing = undefined;
    }
  }

  async #look(): Promise<void> {
    this.#lookAt = this.#written + LOOK_BYTES;
    if ((await freeBytes(this.#path)) < RESERVE_BYTES + this.#written)
      this.#stopBecause("the disk is nearly full");
  }

  #stopBecause(stop: Stop): void {
    if (this.stopped) return;
    this.#stop = stop;
    this.#lines.push(markerLine(`recording stopped: ${stop}`));
    this.#log.warn({ path: this.#path }, `transcript: recording stopped, ${stop}`);
  }

  #failed(error: unknown): void {
    this.#stop = "the disk fails";
    this.#lines = [];
    this.#log.error(
      { err: error, path: this.#path },
      "transcript: recording stopped, the file can't be written",
    );
  }
}

/** A line of a transcript that is written beside its events. */
export function markerLine(label: string): string {
  return `${JSON.stringify([0, "m", label])}\n`;
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize;
}

function full(): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_UNWRITABLE",
    message: `Cannot record session: less than ${String(RESERVE_BYTES)} bytes are left on the disk`,
    hint: "Make space on the disk of the state folder",
  });
}
