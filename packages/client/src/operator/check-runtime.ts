import { lstatSync, type Stats } from "node:fs";
import { DoorwardError } from "@doorward/contracts/errors";
import { currentHost, isPrivateRuntime, type FolderHost, type Folders } from "./folders.ts";

const OTHERS = 0o077;

/** Checks the private runtime folder before a client trusts a socket in it; an absent folder is no fault. */
export function checkRuntime(folders: Folders, host: FolderHost = currentHost()): void {
  const found = lstatSync(folders.runtime, { throwIfNoEntry: false });
  if (found === undefined) return;
  checkOwner(found, folders.runtime, host.uid);
  if (isPrivateRuntime(folders, host)) checkClosed(found, folders.runtime);
}

/** Refuses a folder that is none, or another user's (STATE_UNSAFE). */
export function checkOwner(found: Stats, path: string, uid: number): void {
  if (found.isSymbolicLink()) throw unsafeFolder(path, "it is a symlink");
  if (!found.isDirectory()) throw unsafeFolder(path, "it is not a folder");
  if (uid >= 0 && found.uid !== uid) throw unsafeFolder(path, `it belongs to user ${found.uid}, not ${uid}`);
}

/** Refuses a folder that others can look into (STATE_UNSAFE). */
export function checkClosed(found: Stats, path: string): void {
  if ((found.mode & OTHERS) !== 0) throw unsafeFolder(path, "it is open to other users");
}

/** The error for a folder that others control; `mend` is the command that shows or mends it. */
export function unsafeFolder(path: string, why: string, cause?: unknown, mend = "ls -ld"): DoorwardError {
  return new DoorwardError({
    code: "STATE_UNSAFE",
    message: `Cannot use folder "${path}": ${why}`,
    hint: `${mend} ${quoted(path)}`,
    details: { path },
    cause,
  });
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
