import { closeSync, constants, mkdirSync, openSync, readFileSync, unlinkSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { replaceFile, syncFolder } from "../../actions/files/replace-file.ts";
import { inFolder, openName, type EntryKind } from "../../machines/mounts/beneath.ts";

/**
 * A file of a project's folder, which is whoever's the repository is: no link of it is followed, neither one that stands
 * there nor one that is put there meanwhile.
 */
export interface ProjectFile {
  readonly file: string;
  /** The project's folder, with the file below it. */
  readonly beneath: string;
}

/** What stands in a project where a configuration file or a folder of it should be. */
export class UnsafeProject extends Error {
  override readonly name = "UnsafeProject";
}

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;

/** Text and mode of a file of a project; undefined where there is none. Throws UnsafeProject for a link or no file. */
export function readProjectFile(
  place: ProjectFile,
  maxBytes: number,
): { readonly bytes: Buffer; readonly mode: number } | undefined {
  return inParent(place, false, (parent, name) => readIn(place, parent, name, maxBytes));
}

/** Puts a file of a project in place in one step, in the folder that was looked at; makes that folder where it is missing. */
export function writeProjectFile(place: ProjectFile, text: string, mode: number): void {
  inParent(place, true, (parent, name) => {
    const before = openName(parent, name);
    if (before !== null) closeSync(before.fd);
    // Only root can keep another's.
    const owner = before !== null && process.getuid?.() === 0 ? before.stat : null;
    replaceFile(parent, name, { content: Buffer.from(text), mode, owner });
  });
}

/** Deletes a file of a project. */
export function deleteProjectFile(place: ProjectFile): void {
  inParent(place, false, (parent, name) => {
    unlinkSync(inFolder(parent, name));
    syncFolder(parent);
  });
}

function readIn(place: ProjectFile, parent: number, name: string, maxBytes: number) {
  const held = openName(parent, name);
  if (held === null) return undefined;
  try {
    if (held.kind !== "file") throw new UnsafeProject(`"${place.file}" is ${nameOf(held.kind)}`);
    if (held.stat.size > maxBytes) throw new Error(`it has more than ${String(maxBytes)} bytes`);
    return { bytes: readFileSync(`/proc/self/fd/${String(held.fd)}`), mode: held.stat.mode & 0o777 };
  } finally {
    closeSync(held.fd);
  }
}

/** Works in the folder that holds the file, held open; answers undefined where it is missing and not to be made. */
function inParent<T>(
  { file, beneath }: ProjectFile,
  make: boolean,
  work: (parent: number, name: string) => T,
): T | undefined {
  const names = relative(beneath, file).split(sep);
  const name = names.pop() ?? "";
  const root = openSync(beneath, O_PATH | constants.O_DIRECTORY);
  try {
    const folder = heldFolder(root, beneath, names, make);
    if (folder === undefined) return undefined;
    try {
      return work(folder, name);
    } finally {
      closeSync(folder);
    }
  } finally {
    closeSync(root);
  }
}

/** Goes down from a held folder, name by name. The caller closes what it answers, which may be the root's own descriptor anew. */
function heldFolder(root: number, path: string, names: readonly string[], make: boolean): number | undefined {
  const [name, ...rest] = names;
  if (name === undefined) return openSync(`/proc/self/fd/${String(root)}`, O_PATH | constants.O_DIRECTORY);
  const inside = join(path, name);
  const found = openName(root, name) ?? (make ? makeFolder(root, name) : null);
  if (found === null) return undefined;
  try {
    if (found.kind !== "folder") throw new UnsafeProject(`"${inside}" is ${nameOf(found.kind)}`);
    return heldFolder(found.fd, inside, rest, make);
  } finally {
    closeSync(found.fd);
  }
}

function makeFolder(parent: number, name: string): ReturnType<typeof openName> {
  mkdirSync(inFolder(parent, name), { mode: 0o700 });
  return openName(parent, name);
}

function nameOf(kind: EntryKind): string {
  return { folder: "a folder", file: "a file", link: "a symlink", other: "neither file nor folder" }[kind];
}
