import { hostFailure, outsideScope } from "../failures.ts";
import type { LoadedScope } from "./loaded-scope.ts";

/** What is known of an entry, planned or held. */
interface Entry {
  readonly kind: "absent" | "folder" | "file" | "link" | "other";
  readonly links: number;
}

/** Throws unless a file may be written at a path: nothing is there yet, or a regular file with this one name. */
export function checkWritable(path: string, entry: Entry): void {
  if (entry.kind === "link") throw outsideScope(`Cannot write "${path}": it is a symlink`);
  if (entry.kind === "other") throw outsideScope(`Cannot write "${path}": it is no regular file`);
  if (entry.kind === "folder") throw hostFailure(`Cannot write "${path}": it is a folder`);
  if (entry.kind === "file" && entry.links > 1)
    throw outsideScope(
      `Cannot write "${path}": it has another name (a hard link) that may lie outside the scope`,
    );
}

/** Throws unless an entry may be moved to another name of the scope. */
export function checkMovable(path: string, entry: Entry): void {
  if (entry.kind === "absent") throw hostFailure(`Cannot rename "${path}": it does not exist`);
  if (entry.kind !== "file" && entry.kind !== "folder")
    throw outsideScope(`Cannot rename "${path}": it is neither a regular file nor a folder`);
}

/** Throws unless something may be put in the place of an entry by renaming. */
export function checkReplaceable(path: string, entry: Entry): void {
  if (entry.kind === "absent" || entry.kind === "file") return;
  if (entry.kind === "folder") throw hostFailure(`Cannot rename to "${path}": a folder is there`);
  throw outsideScope(`Cannot rename to "${path}": it is no regular file`);
}

/** Throws unless an entry may be removed; a link is removed itself, never what it leads to. */
export function checkRemovable(path: string, entry: Entry): void {
  if (entry.kind === "other") throw outsideScope(`Cannot remove "${path}": it is no regular file`);
}

/** Throws when a file would become larger than its scope allows. */
export function checkSize(scope: LoadedScope, path: string, bytes: number): void {
  if (bytes > scope.maxFileBytes)
    throw outsideScope(
      `Cannot write "${path}": it would have ${String(bytes)} bytes, and scope "${scope.id}" allows ${String(scope.maxFileBytes)}`,
    );
}
