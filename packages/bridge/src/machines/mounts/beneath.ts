import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { DoorwardError } from "@doorward/contracts";

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;

/** What a name turned out to be. */
export type EntryKind = "folder" | "file" | "link" | "other";

/** A file or folder held with `O_PATH`: it stays the same one whatever happens to its path. */
export interface HeldEntry {
  readonly fd: number;
  readonly kind: EntryKind;
  readonly stat: Stats;
}

/** Path of a name in a held folder, resolved by the kernel from the descriptor. */
export function inFolder(fd: number, name: string | Buffer): string | Buffer {
  const prefix = `/proc/self/fd/${fd}/`;
  return typeof name === "string" ? prefix + name : Buffer.concat([Buffer.from(prefix), name]);
}

/** Opens one name of a held folder without following it; null when there is none. The caller closes it. */
export function openName(folder: number, name: string | Buffer): HeldEntry | null {
  try {
    return describe(openSync(inFolder(folder, name), O_PATH | constants.O_NOFOLLOW));
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/**
 * Opens a path beneath a held folder, name by name, following no symlink anywhere; null when it does not exist.
 * A symlink on the way is refused: whoever can write there could point it anywhere.
 */
export function openBeneath(folder: number, path: string): HeldEntry | null {
  const names = path.split("/").filter((name) => name !== "");
  if (names.some((name) => name === ".." || name === ".")) throw escaping(path);
  let current = describe(openSync(`/proc/self/fd/${folder}`, O_PATH | constants.O_DIRECTORY));
  for (const [index, name] of names.entries()) {
    const parent = current;
    try {
      const next = parent.kind === "folder" ? openName(parent.fd, name) : null;
      if (next === null) return null;
      current = next;
    } finally {
      closeSync(parent.fd);
    }
    if (current.kind === "link" && index < names.length - 1) {
      closeSync(current.fd);
      throw escaping(path);
    }
  }
  return current;
}

/** Whether an error says that a name is absent. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}

function describe(fd: number): HeldEntry {
  try {
    const stat = fstatSync(fd);
    return { fd, stat, kind: kindOf(stat) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function kindOf(stat: Stats): EntryKind {
  if (stat.isDirectory()) return "folder";
  if (stat.isFile()) return "file";
  return stat.isSymbolicLink() ? "link" : "other";
}

function escaping(path: string): DoorwardError {
  return new DoorwardError({
    code: "PATH_CHANGED",
    message: `Cannot hold "${path}": a symlink stands on the way`,
    hint: "Something changed this path during the launch; try again when nothing does",
  });
}
