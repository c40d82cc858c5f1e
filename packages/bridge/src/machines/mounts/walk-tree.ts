import { closeSync, constants, openSync, readdirSync, type Dirent } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import { inFolder, isAbsent } from "./beneath.ts";

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;

/** Bounds of one walk. */
export interface WalkLimits {
  readonly entries: number;
  readonly depth: number;
  readonly milliseconds: number;
  /** Time after which other work of the process gets its turn. */
  readonly sliceMilliseconds: number;
}

/** Large enough for a monorepo with its dependencies; beyond it a repo is refused, not half looked at. */
const WALK_LIMITS: WalkLimits = {
  entries: 3_000_000,
  depth: 120,
  milliseconds: 60_000,
  sliceMilliseconds: 4,
};

/** One name met on a walk. */
export interface WalkEntry {
  /** Path relative to where the walk began; not UTF-8 is shown with U+FFFD. */
  readonly path: string;
  readonly name: string;
  readonly dirent: Dirent | Dirent<Buffer>;
  /** Path that the kernel resolves from the held folder. */
  readonly at: string | Buffer;
}

/** What a walk calls: once per folder with its names, and once per name; false keeps it out of a folder. */
export interface Visitor {
  folder(path: string, names: ReadonlySet<string>): void;
  entry(entry: WalkEntry): boolean;
}

interface Frame {
  readonly fd: number;
  readonly path: string;
  readonly entries: readonly (Dirent | Dirent<Buffer>)[];
  next: number;
}

/**
 * Walks everything beneath a held folder, following no symlink: each folder is opened from its parent's descriptor.
 * Synchronous calls in short slices are several times as fast as asynchronous ones and hold up nobody for long.
 */
export async function walkTree(
  root: number,
  visitor: Visitor,
  limits: WalkLimits = WALK_LIMITS,
  signal?: AbortSignal,
): Promise<number> {
  const stack: Frame[] = [];
  const clock = new Slices(limits);
  try {
    stack.push(enter(openSync(`/proc/self/fd/${root}`, O_PATH | constants.O_DIRECTORY), "", visitor));
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      if (clock.due()) {
        signal?.throwIfAborted();
        await setImmediate();
        clock.start();
      }
      const dirent = frame.entries[frame.next++];
      if (dirent === undefined) {
        stack.pop();
        closeSync(frame.fd);
        continue;
      }
      clock.count();
      const child = visit(frame, dirent, visitor);
      if (child === null) continue;
      stack.push(child);
      if (stack.length > limits.depth) throw tooLarge(`its folders are more than ${limits.depth} deep`);
    }
    return clock.entries;
  } finally {
    for (const frame of stack) closeSync(frame.fd);
  }
}

/** Counts names and time, and says when a slice is over. */
class Slices {
  readonly #limits: WalkLimits;
  readonly #begin = performance.now();
  #slice = this.#begin;
  entries = 0;

  constructor(limits: WalkLimits) {
    this.#limits = limits;
  }

  count(): void {
    this.entries += 1;
    if (this.entries > this.#limits.entries) throw tooLarge(`it has more than ${this.#limits.entries} names`);
  }

  due(): boolean {
    // Asking the clock for every name would cost more than some of the names do.
    return this.entries % 32 === 0 && performance.now() - this.#slice > this.#limits.sliceMilliseconds;
  }

  start(): void {
    this.#slice = performance.now();
    if (this.#slice - this.#begin > this.#limits.milliseconds) {
      throw tooLarge(`looking at it takes more than ${this.#limits.milliseconds / 1000} s`);
    }
  }
}

function visit(frame: Frame, dirent: Dirent | Dirent<Buffer>, visitor: Visitor): Frame | null {
  const name = String(dirent.name);
  const path = frame.path === "" ? name : `${frame.path}/${name}`;
  const at = inFolder(frame.fd, dirent.name);
  if (!visitor.entry({ path, name, dirent, at }) || !dirent.isDirectory()) return null;
  try {
    return enter(openSync(at, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW), path, visitor);
  } catch (error) {
    // Removed, or swapped for a link, since its folder was read.
    if (isAbsent(error) || hasCode(error, "ELOOP")) return null;
    throw error;
  }
}

function enter(fd: number, path: string, visitor: Visitor): Frame {
  try {
    const entries = readEntries(fd, path);
    visitor.folder(path, new Set(entries.map(({ name }) => String(name))));
    return { fd, path, entries, next: 0 };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function readEntries(fd: number, path: string): readonly (Dirent | Dirent<Buffer>)[] {
  try {
    const entries = readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true });
    if (!entries.some(({ name }) => name.includes("\uFFFD"))) return entries;
    return readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    if (hasCode(error, "EACCES")) throw unreadable(path, error);
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function unreadable(path: string, cause: unknown): DoorwardError {
  return new DoorwardError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot look at the repo: the folder "${path}" can't be read`,
    hint: "doorward up --review",
    cause,
  });
}

function tooLarge(why: string): DoorwardError {
  return new DoorwardError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot look at the whole repo: ${why}`,
    hint: "doorward up --review",
  });
}
