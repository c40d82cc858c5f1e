import { execFile } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const BATCH = 48;
const LOW = 16;
const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = constants;
const run = promisify(execFile);

/** Both ends of a pipe: the guest's does not block, the child's does. */
export interface PipeEnds {
  readonly guest: number;
  readonly child: number;
}

/**
 * Pipes for commands. Node gives children socket pairs, and `/dev/stdin`, `/dev/stdout` and `/dev/stderr` can't be opened on
 * those, which breaks ordinary scripts. Node can't make pipes, so `mkfifo` makes named ones in advance, many at once;
 * each is unlinked when it is used. Where there is no `mkfifo`, commands get socket pairs.
 */
export class FifoPool {
  #folder: string | undefined;
  #free: string[] = [];
  #made = 0;
  #filling: Promise<void> | undefined;
  #usable: boolean;

  constructor() {
    try {
      this.#folder = mkdtempSync(join(tmpdir(), "doorward-"));
      this.#usable = true;
    } catch {
      this.#usable = false;
    }
  }

  /** Whether commands get pipes. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Makes sure that `count` pipes can be taken, if pipes can be had at all. */
  async reserve(count: number): Promise<boolean> {
    while (this.#usable && this.#free.length < count) await this.#fill();
    if (this.#free.length < LOW) void this.#fill();
    return this.#usable;
  }

  /** A pipe that the child writes to. */
  takeOutput(): PipeEnds {
    return this.#take((path) => {
      const guest = openSync(path, O_RDONLY | O_NONBLOCK);
      return { guest, child: openSync(path, O_WRONLY) };
    });
  }

  /** A pipe that the child reads from. */
  takeInput(): PipeEnds {
    return this.#take((path) => {
      // opening one end waits for the other, but a descriptor with both ends never waits
      const both = openSync(path, O_RDWR | O_NONBLOCK);
      const child = openSync(path, O_RDONLY);
      const guest = openSync(path, O_WRONLY | O_NONBLOCK);
      closeSync(both);
      return { guest, child };
    });
  }

  /** Removes the folder. */
  close(): void {
    this.#usable = false;
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  #take(open: (path: string) => PipeEnds): PipeEnds {
    const path = this.#free.pop();
    if (path === undefined) throw new Error("Cannot take pipe: none was reserved");
    try {
      return open(path);
    } finally {
      unlinkSync(path);
    }
  }

  #fill(): Promise<void> {
    this.#filling ??= this.#make().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  async #make(): Promise<void> {
    const folder = this.#folder;
    if (folder === undefined || !this.#usable) return;
    const names = Array.from({ length: BATCH }, () => `p${String(this.#made++)}`);
    try {
      await run("mkfifo", ["-m", "600", "--", ...names], { cwd: folder });
      this.#free.push(...names.map((name) => join(folder, name)));
    } catch {
      this.#usable = false;
    }
  }
}
