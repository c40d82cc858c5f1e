import {
  closeSync,
  constants,
  fchownSync,
  lchownSync,
  mkdirSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, basename } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { inFolder, isAbsent, openBeneath, type HeldEntry } from "./beneath.ts";
import type { Pin } from "./protections.ts";

/** Creates what can be protected only once it exists, owned like the folder it is in; what exists by now stays. */
export function createPins(folder: number, pins: readonly Pin[]): void {
  for (const pin of pins) withParent(folder, pin.path, (parent, name) => create(parent, name, pin));
}

/**
 * Removes `commondir` files that {@link createPins} made, when no machine uses the repo any more. One with other
 * content is left alone. Empty `hooks` folders stay: git makes them too.
 */
export function removePins(folder: number, paths: readonly string[]): void {
  for (const path of paths.filter((each) => basename(each) === "commondir")) {
    withParent(folder, path, (parent, name) => {
      if (isOurs(parent.fd, name)) unlinkSync(inFolder(parent.fd, name));
    });
  }
}

function withParent(folder: number, path: string, work: (parent: HeldEntry, name: string) => void): void {
  const parent = openBeneath(folder, dirname(path) === "." ? "" : dirname(path));
  if (parent === null) return;
  try {
    work(parent, basename(path));
  } finally {
    closeSync(parent.fd);
  }
}

function create(parent: HeldEntry, name: string, pin: Pin): void {
  const at = inFolder(parent.fd, name);
  const { uid, gid } = parent.stat;
  const foreign = process.geteuid?.() === 0 && uid !== 0;
  try {
    if (pin.kind === "folder") {
      mkdirSync(at, 0o755);
      if (foreign) lchownSync(at, uid, gid);
      return;
    }
    const fd = openSync(
      at,
      constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW,
      0o644,
    );
    try {
      writeSync(fd, pin.content);
      if (foreign) fchownSync(fd, uid, gid);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return;
    throw isAbsent(error) ? replaced(pin.path, error) : error;
  }
}

/** The folder of a pin became a link, or went away, between the scan and now. */
function replaced(path: string, cause: unknown): DoorwardError {
  return new DoorwardError({
    code: "PATH_CHANGED",
    message: `Cannot protect "${path}": its folder was moved or replaced meanwhile`,
    hint: "Something changed this path during the launch; try again when nothing does",
    cause,
  });
}

function isOurs(parent: number, name: string): boolean {
  try {
    const fd = openSync(
      inFolder(parent, name),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const buffer = Buffer.alloc(8);
      return buffer.toString("utf8", 0, readSync(fd, buffer, 0, 8, 0)) === ".\n";
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}
