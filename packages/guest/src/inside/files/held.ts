import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import type { EntryKind } from "../../files.ts";
import { errnoOf } from "./file-failure.ts";

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;

/** A file or folder held with `O_PATH`: it stays the same one whatever happens to its path. The holder closes it. */
export interface Held {
  readonly fd: number;
  readonly kind: EntryKind;
  readonly stat: Stats;
}

/** Path of a name in a held folder, resolved by the kernel from the descriptor. */
export function inFolder(fd: number, name: string): string {
  return `/proc/self/fd/${String(fd)}/${name}`;
}

/** Path of what a descriptor holds; opening it opens exactly that. */
export function ofHeld(fd: number): string {
  return `/proc/self/fd/${String(fd)}`;
}

/** Opens one name of a held folder without following it; undefined when there is none. */
export function holdName(folder: number, name: string): Held | undefined {
  try {
    return describe(openSync(inFolder(folder, name), O_PATH | constants.O_NOFOLLOW));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Holds the file system's root. */
export function holdTop(): Held {
  return describe(openSync("/", O_PATH | constants.O_DIRECTORY));
}

/** Holds a held folder once more. */
export function holdAgain(folder: number): Held {
  return describe(openSync(ofHeld(folder), O_PATH | constants.O_DIRECTORY));
}

/** Says what a descriptor holds; closes it when it can't. */
export function describe(fd: number): Held {
  try {
    const stat = fstatSync(fd);
    return { fd, stat, kind: kindOf(stat) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Goes down from a held folder name by name, through folders alone; undefined where one is absent or no folder. */
export function holdBeneath(folder: number, names: readonly string[]): Held | undefined {
  let current: Held | undefined;
  for (const name of names) {
    if (current !== undefined && current.kind !== "folder") {
      closeSync(current.fd);
      return undefined;
    }
    const next = closing(current, (fd) => holdName(fd ?? folder, name));
    if (next === undefined) return undefined;
    current = next;
  }
  return current;
}

function closing<T>(held: Held | undefined, work: (fd: number | undefined) => T): T {
  try {
    return work(held?.fd);
  } finally {
    if (held !== undefined) closeSync(held.fd);
  }
}

/** What a file is, from its mode. */
export function kindOf(stat: Stats): EntryKind {
  if (stat.isDirectory()) return "folder";
  if (stat.isFile()) return "file";
  return stat.isSymbolicLink() ? "symlink" : "other";
}
