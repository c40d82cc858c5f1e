import { chmodSync, lstatSync, mkdirSync, statSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import {
  checkClosed,
  checkOwner,
  currentHost,
  isPrivateRuntime,
  unsafeFolder,
  type FolderHost,
  type Folders,
} from "@doorward/client/operator";

const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** Creates what is missing of the folders with mode 0700 and refuses any that others control (STATE_UNSAFE). */
export function createFolders(folders: Folders, host: FolderHost = currentHost()): void {
  checkConfig(create(folders.config), folders.config, host);
  keepToOwner(create(folders.state), folders.state, host);
  if (isPrivateRuntime(folders, host)) checkPrivateRuntime(folders.runtime, host);
  else keepToOwner(create(folders.runtime), folders.runtime, host);
}

function create(path: string): Stats {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return statSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw unsafeFolder(path, `it can't be created (${why})`, cause);
  }
}

/** A config folder may be root's (a system's own configuration), but nobody else may change it. */
function checkConfig(found: Stats, path: string, host: FolderHost): void {
  if (found.uid !== 0) checkOwner(found, path, host.uid);
  if (posix(host) && (found.mode & OTHERS_WRITE) !== 0) {
    throw unsafeFolder(path, "other users can write to it", undefined, "chmod go-w");
  }
}

function keepToOwner(found: Stats, path: string, host: FolderHost): void {
  checkOwner(found, path, host.uid);
  if (posix(host) && (found.mode & OTHERS) !== 0) chmodSync(path, 0o700);
}

/** In a folder that everybody can write to, what is not exactly ours was planted: refused, never mended. */
function checkPrivateRuntime(path: string, host: FolderHost): void {
  const parent = statSync(dirname(path));
  if ((parent.mode & OTHERS_WRITE) !== 0 && (parent.mode & STICKY) === 0) {
    throw unsafeFolder(dirname(path), "other users can rename what is in it", undefined, "chmod +t");
  }
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
  }
  const found = lstatSync(path);
  checkOwner(found, path, host.uid);
  checkClosed(found, path);
}

function posix(host: FolderHost): boolean {
  return host.uid >= 0;
}
