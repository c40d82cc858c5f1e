import { closeSync, lstatSync, opendirSync, type Dir, type Stats } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Bounded, EntryKind, FileStat, FolderEntry } from "../../files.ts";
import { ANSWER_BYTES, type FilesRequestOf } from "../../files-protocol.ts";
import { FileFailure, fileFailure, quoted } from "./file-failure.ts";
import { holdAgain, inFolder, kindOf, ofHeld } from "./held.ts";
import { pathOf, type Reach } from "./reach.ts";
import { walkToFound } from "./walk.ts";

/** Names that are read of one folder at most. */
const MAX_NAMES = 100_000;
/** Room for the answer's frame. */
const BUDGET = ANSWER_BYTES - 4096;

type Names = readonly string[];

/** What a path is. */
export function statPath(reach: Reach, path: string): FileStat {
  const doing = `Cannot look at ${quoted(path)}`;
  const { held, names } = walkToFound(reach, path, { follow: true, doing });
  closeSync(held.fd);
  const { size, mtimeMs, mode } = held.stat;
  return {
    path: pathOf(names),
    kind: held.kind,
    size,
    modifiedMs: mtimeMs,
    executable: held.kind === "file" && (mode & 0o111) !== 0,
  };
}

/** Lists a folder level by level, so that a list that is cut keeps the upper ones whole; sorted by path, name by name. */
export async function listFolder(
  reach: Reach,
  request: FilesRequestOf<"list">,
  signal: AbortSignal,
): Promise<Bounded<FolderEntry>> {
  const doing = `Cannot list ${quoted(request.path)}`;
  const { held, names } = walkToFound(reach, request.path, { follow: true, doing });
  try {
    if (held.kind !== "folder") throw new FileFailure("PATH_NOT_DIRECTORY", `${doing}: it is no folder`);
    const listing = new Listing(pathOf(names), request.limit);
    let level: Names[] = [[]];
    for (let depth = 0; depth < request.depth && level.length > 0; depth += 1) {
      const next: Names[] = [];
      for (const folder of level) {
        signal.throwIfAborted();
        if (!listing.full) next.push(...listOne(reach, held.fd, folder, listing));
        // one huge tree must not keep everybody else waiting
        await setImmediate();
      }
      level = next;
    }
    return listing.result();
  } catch (error) {
    throw fileFailure(error, doing);
  } finally {
    closeSync(held.fd);
  }
}

/** Adds what one folder beneath the listed one holds; answers the folders in it. */
function listOne(reach: Reach, top: number, folder: Names, listing: Listing): Names[] {
  const held = folder.length === 0 ? holdAgain(top) : reach.opener.hold(top, folder);
  if (held === undefined) return [];
  try {
    if (held.kind !== "folder") return [];
    const { names, cut } = namesIn(held.fd, folder.length === 0);
    if (cut) listing.full = true;
    return names.flatMap((name) => {
      const path = [...folder, name];
      return listing.add(path, inFolder(held.fd, name)) === "folder" ? [path] : [];
    });
  } finally {
    closeSync(held.fd);
  }
}

function namesIn(folder: number, isTop: boolean): { readonly names: string[]; readonly cut: boolean } {
  let dir: Dir;
  try {
    dir = opendirSync(ofHeld(folder), { bufferSize: 512 });
  } catch (error) {
    // what lies deeper may be closed to the machine's user; the folder that was asked for may not
    if (isTop) throw error;
    return { names: [], cut: false };
  }
  try {
    const names: string[] = [];
    for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
      if (names.length === MAX_NAMES) return { names: names.sort(byBytes), cut: true };
      names.push(entry.name);
    }
    return { names: names.sort(byBytes), cut: false };
  } finally {
    dir.closeSync();
  }
}

/** What was listed so far, within the limits of one answer. */
class Listing {
  full = false;
  readonly #top: string;
  readonly #limit: number;
  readonly #found: { readonly names: Names; readonly entry: FolderEntry }[] = [];
  #bytes = 0;

  constructor(top: string, limit: number) {
    this.#top = top === "/" ? "" : top;
    this.#limit = limit;
  }

  /** Adds an entry; answers its kind, or undefined where it is gone or there is no room. */
  add(names: Names, path: string): EntryKind | undefined {
    if (this.full) return undefined;
    const stat = statOf(path);
    if (stat === undefined) return undefined;
    const entry = {
      path: `${this.#top}/${names.join("/")}`,
      kind: kindOf(stat),
      size: stat.size,
      modifiedMs: stat.mtimeMs,
    };
    this.#bytes += Buffer.byteLength(JSON.stringify(entry)) + 1;
    this.full = this.#found.length === this.#limit || this.#bytes > BUDGET;
    if (this.full) return undefined;
    this.#found.push({ names, entry });
    return entry.kind;
  }

  result(): Bounded<FolderEntry> {
    this.#found.sort((a, b) => byNames(a.names, b.names));
    return { items: this.#found.map(({ entry }) => entry), truncated: this.full };
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

function byNames(a: Names, b: Names): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const order = byBytes(a[at] ?? "", b[at] ?? "");
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
