import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readdirSync, readSync } from "node:fs";
import { openName, type EntryKind, type HeldEntry } from "../../machines/mounts/beneath.ts";
import { hostFailure, outsideScope } from "../failures.ts";
import { holdPlace, type Place } from "./file-roots.ts";

const MAX_READ_BYTES = 8_388_608;
const MAX_TREE_ENTRIES = 10_000;

/** What stands at a place. */
export interface Observed {
  readonly kind: EntryKind | "absent";
  readonly size: number;
  readonly mode: number;
  readonly links: number;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Content of a regular file that is small enough to be shown; null otherwise. */
  readonly content: Buffer | null;
  /** All of it in one line, for the digest of what a plan was made on. */
  readonly line: string;
}

const ABSENT: Observed = {
  kind: "absent",
  size: 0,
  mode: 0,
  links: 0,
  owner: { uid: 0, gid: 0 },
  content: null,
  line: "absent",
};

/** Looks at a place without following a link. */
export function observe(place: Place): Observed {
  return describeSteady(() => holdPlace(place), place) ?? ABSENT;
}

/**
 * What an entry is that `hold` opens; null when there is none. A file is opened twice: one that was reached by a hard
 * link, which was removed before its names were counted, would look like a file of the scope, but it is no longer there
 * the second time, or has changed.
 */
export function describeSteady(hold: () => HeldEntry | null, place: Place): Observed | null {
  const held = hold();
  if (held === null) return null;
  try {
    const observed = describe(held);
    if (held.kind === "file") checkSame(held, hold(), place);
    return observed;
  } finally {
    closeSync(held.fd);
  }
}

function checkSame({ stat }: HeldEntry, again: HeldEntry | null, place: Place): void {
  if (again !== null) closeSync(again.fd);
  const now = again?.stat;
  const isSame = now !== undefined && now.dev === stat.dev && now.ino === stat.ino;
  if (!isSame || now.ctimeMs !== stat.ctimeMs || now.nlink !== stat.nlink)
    throw outsideScope(`Cannot use "${place.path}": it changed while it was looked at`);
}

function describe({ fd, kind, stat }: HeldEntry): Observed {
  const content = kind === "file" && stat.size <= MAX_READ_BYTES ? readHeld(fd, stat.size) : null;
  const digest = content === null ? "-" : sha256(content);
  // A folder's time and size change with what else happens in it; what it is does not.
  const parts = [kind, stat.dev, stat.ino, stat.mode, stat.uid, stat.gid];
  const changing =
    kind === "folder" ? [] : [stat.size, stat.nlink, content === null ? stat.mtimeMs : 0, digest];
  return {
    kind,
    size: stat.size,
    mode: stat.mode & 0o777,
    links: stat.nlink,
    owner: { uid: stat.uid, gid: stat.gid },
    content,
    line: [...parts, ...changing].join(" "),
  };
}

/** Reads the very file that is held, whose size is known; one that grows meanwhile is refused. */
function readHeld(fd: number, size: number): Buffer {
  const file = openSync(`/proc/self/fd/${String(fd)}`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.alloc(size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length <= size; length += read)
      read = readSync(file, buffer, length, buffer.length - length, length);
    if (length > size) throw hostFailure("Cannot read a file: it grew while it was read");
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

/** Lines for everything beneath a folder, links not followed; refused when it is too much to look through. */
export function observeTree(place: Place): readonly string[] {
  const lines: string[] = [];
  const held = holdPlace(place);
  if (held === null || held.kind !== "folder") {
    if (held !== null) closeSync(held.fd);
    return lines;
  }
  try {
    walk(held, "", place, lines);
  } finally {
    closeSync(held.fd);
  }
  return lines;
}

function walk(folder: HeldEntry, prefix: string, place: Place, lines: string[]): void {
  for (const name of readdirSync(`/proc/self/fd/${String(folder.fd)}`).sort()) {
    const entry = openName(folder.fd, name);
    if (entry === null) continue;
    try {
      if (entry.stat.dev !== place.root.dev)
        throw outsideScope(
          `Cannot remove "${place.path}": another file system is mounted at "${prefix}${name}"`,
        );
      const { kind, stat } = entry;
      lines.push(
        `${prefix}${name} ${kind} ${String(stat.ino)} ${kind === "folder" ? "" : `${String(stat.size)} ${String(stat.mtimeMs)}`}`,
      );
      if (lines.length > MAX_TREE_ENTRIES)
        throw outsideScope(
          `Cannot remove "${place.path}": it holds more than ${String(MAX_TREE_ENTRIES)} entries`,
        );
      if (kind === "folder") walk(entry, `${prefix}${name}/`, place, lines);
    } finally {
      closeSync(entry.fd);
    }
  }
}

/** `sha256:…` of bytes. */
export function sha256(bytes: Buffer | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
