import {
  close,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  open,
  openSync,
  readFileSync,
  unlinkSync,
  write,
} from "node:fs";
import { promisify } from "node:util";
import { inFolder, ofHeld, type Held } from "./held.ts";

const writeAsync = promisify(write);
const fsyncAsync = promisify(fsync);
const closeAsync = promisify(close);
const openAsync = promisify(open);

const NEW_FILE_MODE = 0o666;

/** A file that is being written under a name of its own, beside where it will go. */
export interface TempFile {
  readonly path: string;
  /** Removes it, unless it was given its final name. */
  remove(): void;
}

/** What a written file looks like: as one that it replaces, and whether it is a program whatever that was. */
export interface Look {
  readonly replaced: Held | undefined;
  readonly executable?: boolean | undefined;
}

/**
 * Writes a new file in a held folder and makes it durable. It looks like the one that it will replace: mode, and owner
 * where the machine's user may set it.
 */
export async function writeTemp(
  folder: number,
  { replaced, executable }: Look,
  parts: AsyncIterable<Buffer>,
): Promise<TempFile> {
  const path = inFolder(folder, `.doorward-${randomName()}.tmp`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const mode = replaced === undefined ? NEW_FILE_MODE : 0o600;
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  const temp = { path, remove: () => removeQuietly(path) };
  try {
    for await (const part of parts) await writeWhole(fd, part);
    if (replaced !== undefined) takeLook(fd, replaced);
    if (executable !== undefined) setExecutable(fd, executable);
    await fsyncAsync(fd);
  } catch (error) {
    temp.remove();
    throw error;
  } finally {
    await closeAsync(fd);
  }
  return temp;
}

/** Makes the names of a held folder durable. */
export async function syncFolder(folder: number): Promise<void> {
  const fd = await openAsync(ofHeld(folder), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await fsyncAsync(fd);
  } finally {
    closeSync(fd);
  }
}

async function writeWhole(fd: number, part: Buffer): Promise<void> {
  for (let at = 0; at < part.length;) at += (await writeAsync(fd, part, at)).bytesWritten;
}

/** Owner first: changing it clears bits of the mode. */
function takeLook(fd: number, { stat }: Held): void {
  const { uid, gid } = stat;
  if (uid !== process.getuid?.() || gid !== process.getgid?.()) {
    try {
      fchownSync(fd, uid, gid);
    } catch {
      // what is not ours to give stays ours
    }
  }
  fchmodSync(fd, stat.mode & 0o777);
}

/** For those who may read it, as the machine's umask left it. */
function setExecutable(fd: number, executable: boolean): void {
  const mode = fstatSync(fd).mode & 0o777;
  fchmodSync(fd, executable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111);
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // it has its final name, or somebody removed it
  }
}

/** From the kernel: Node's cryptography costs the guest a megabyte of memory. */
function randomName(): string {
  return readFileSync("/proc/sys/kernel/random/uuid", "utf8").replace(/[^a-f0-9]/g, "");
}
