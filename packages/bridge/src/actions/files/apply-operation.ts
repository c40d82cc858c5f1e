import {
  closeSync,
  constants,
  fchmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import type { FileOperation } from "@doorward/contracts";
import { inFolder, isAbsent, openName, type HeldEntry } from "../../machines/mounts/beneath.ts";
import { hostFailure, outsideScope } from "../failures.ts";
import { checkMovable, checkRemovable, checkReplaceable, checkSize, checkWritable } from "./checks.ts";
import { inHeldFolder, parentOf, type Place } from "./file-roots.ts";
import { checkOperation, contentOf, placeIn, type LoadedScope } from "./loaded-scope.ts";
import { describeSteady, type Observed } from "./observe.ts";
import { replaceFile, syncFolder } from "./replace-file.ts";

type Of<T extends FileOperation["type"]> = Extract<FileOperation, { type: T }>;

const NEW_FILE_MODE = 0o644;
const NEW_FOLDER_MODE = 0o755;

/** Does one operation, judging again what it holds; `unfinished` names the file that is written first. */
export function applyOperation(scope: LoadedScope, operation: FileOperation, unfinished: string): void {
  checkOperation(scope, operation);
  switch (operation.type) {
    case "mkdir":
      makeFolders(placeIn(scope, operation.path), operation);
      return;
    case "writeFile":
    case "appendFile":
      write(scope, operation, unfinished);
      return;
    case "rename":
      rename(placeIn(scope, operation.from), placeIn(scope, operation.to));
      return;
    case "remove":
      remove(scope, placeIn(scope, operation.path), operation);
  }
}

function makeFolders(place: Place, operation: Of<"mkdir">): void {
  if (place.names.length === 0 && operation.recursive === true) return;
  const { parent, name } = parentOf(place);
  if (operation.recursive === true)
    makeFolders(parent, { type: "mkdir", path: parent.path, recursive: true });
  inHeldFolder(parent, (folder) => {
    const there = look(folder, name, place);
    if (there?.kind === "folder" && operation.recursive === true) return;
    if (there !== null) throw hostFailure(`Cannot make folder "${place.path}": it exists`);
    mkdirSync(inFolder(folder, name), { mode: NEW_FOLDER_MODE });
    if (operation.mode !== undefined) setMode(folder, name, operation.mode);
    syncFolder(folder);
  });
}

function setMode(folder: number, name: string, mode: number): void {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const fd = openSync(inFolder(folder, name), flags);
  try {
    fchmodSync(fd, mode & 0o777);
  } finally {
    closeSync(fd);
  }
}

/**
 * Both kinds of writing put a whole new file in place: an append that a crash cuts short would leave a file that is
 * neither the old one nor the new one.
 */
function write(scope: LoadedScope, operation: Of<"writeFile"> | Of<"appendFile">, unfinished: string): void {
  const place = placeIn(scope, operation.path);
  const { parent, name } = parentOf(place);
  inHeldFolder(parent, (folder) => {
    const there = look(folder, name, place);
    if (there !== null) checkWritable(place.path, there);
    const added = contentOf(operation);
    const isAppend = operation.type === "appendFile";
    if (isAppend && there !== null && there.content === null)
      throw outsideScope(`Cannot write "${place.path}": it is too large`);
    const content = isAppend ? Buffer.concat([there?.content ?? Buffer.alloc(0), added]) : added;
    checkSize(scope, place.path, content.length);
    const asked = operation.type === "writeFile" ? operation.mode : undefined;
    const mode = asked ?? there?.mode ?? NEW_FILE_MODE;
    replaceFile(folder, name, { content, mode, owner: there?.owner ?? null }, unfinished);
  });
}

function rename(from: Place, to: Place): void {
  const source = parentOf(from);
  const target = parentOf(to);
  inHeldFolder(source.parent, (old) => {
    inHeldFolder(target.parent, (next) => {
      const moved = look(old, source.name, from);
      if (moved === null) throw hostFailure(`Cannot rename "${from.path}": it does not exist`);
      checkMovable(from.path, moved);
      const there = look(next, target.name, to);
      if (there !== null) checkReplaceable(to.path, there);
      // Neither name is followed: what came there since is at worst moved or replaced itself.
      renameSync(inFolder(old, source.name), inFolder(next, target.name));
      syncFolder(old);
      syncFolder(next);
    });
  });
}

function remove(scope: LoadedScope, place: Place, operation: Of<"remove">): void {
  const { parent, name } = parentOf(place);
  try {
    inHeldFolder(parent, (folder) => {
      const there = look(folder, name, place);
      if (there === null) throw hostFailure(`Cannot remove "${place.path}": it does not exist`);
      checkRemovable(place.path, there);
      const recursive = operation.recursive === true && scope.recursiveRemove;
      removeName(folder, name, place, recursive);
      syncFolder(folder);
    });
  } catch (error) {
    if (operation.force === true && isGone(place)) return;
    throw error;
  }
}

function isGone(place: Place): boolean {
  try {
    return inHeldFolder(
      parentOf(place).parent,
      (folder) => look(folder, parentOf(place).name, place) === null,
    );
  } catch (error) {
    return error instanceof Error && error.message.endsWith("there is no such folder");
  }
}

function removeName(folder: number, name: string, place: Place, recursive: boolean): void {
  const entry = openName(folder, name);
  if (entry === null) return;
  try {
    if (entry.kind !== "folder") unlinkSync(inFolder(folder, name));
    else {
      if (recursive) emptyFolder(entry, place);
      rmdirSync(inFolder(folder, name));
    }
  } catch (error) {
    if (!isAbsent(error)) throw error;
  } finally {
    closeSync(entry.fd);
  }
}

/** Removes what a held folder holds; each folder in it is held in turn, so no link is ever gone through. */
function emptyFolder(entry: HeldEntry, place: Place): void {
  if (entry.stat.dev !== place.root.dev)
    throw outsideScope(`Cannot remove "${place.path}": another file system is mounted in it`);
  for (const name of readdirSync(`/proc/self/fd/${String(entry.fd)}`))
    removeName(entry.fd, name, place, true);
}

/** What a name of a held folder is; null when there is none. It must lie on the root's file system. */
function look(folder: number, name: string, place: Place): Observed | null {
  return describeSteady(() => {
    const held = openName(folder, name);
    if (held === null || held.stat.dev === place.root.dev) return held;
    closeSync(held.fd);
    throw outsideScope(
      `Cannot use "${place.path}": it lies on another file system than the root of the scope`,
    );
  }, place);
}
