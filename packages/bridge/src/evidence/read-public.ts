import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";

/** More than any file of a log has: a bundle of 256 entries, each with its length in front. */
const maxBytes = 256 * (65_535 + 2);

// a pipe would wait for ever, and what a link leads to is not in the folder
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Reads a file of a folder that somebody else may have made: a regular one of bounded length, and no symlink. */
export async function readPublic(path: string): Promise<Buffer> {
  const file = await openPublic(path);
  try {
    const bytes = Buffer.allocUnsafe(lengthOf(await file.stat()));
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** {@link readPublic}, at once. */
export function readPublicSync(path: string): Buffer {
  return publicReader()(path);
}

/**
 * {@link readPublicSync} for a thread that does nothing else. It reads into two rooms in turn, as memory that is asked for anew
 * has to be filled with pages anew: what it returned is overwritten when it is called the second time after that.
 */
export function publicReader(): (path: string) => Buffer {
  const rooms: Buffer[] = [];
  let turn = 0;
  return (path) => {
    const file = openSyncPublic(path);
    try {
      const size = lengthOf(fstatSync(file));
      const room = roomFor(size, rooms[turn]);
      let length = 0;
      while (length < size) {
        const count = readSync(file, room, length, size - length, length);
        if (count === 0) break;
        length += count;
      }
      rooms[turn] = room;
      turn = 1 - turn;
      return room.subarray(0, length);
    } finally {
      closeSync(file);
    }
  };
}

function roomFor(size: number, room: Buffer | undefined): Buffer {
  return room !== undefined && room.length >= size ? room : Buffer.allocUnsafeSlow(Math.ceil(size * 1.25));
}

/** Opens such a file, of any length; what it is still has to be looked at. */
export function openPublic(path: string): Promise<FileHandle> {
  return open(path, flags).catch((error: unknown) => {
    throw saidOf(error);
  });
}

function openSyncPublic(path: string): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw saidOf(error);
  }
}

function lengthOf(stat: Stats): number {
  if (!stat.isFile()) throw new Error("it is not a regular file");
  if (stat.size > maxBytes) throw new Error(`it has more than ${String(maxBytes)} bytes`);
  return stat.size;
}

/** Says of a symlink that it is one; every other error stays as it is. */
function saidOf(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const isLink = "code" in error && error.code === "ELOOP";
  return isLink ? new Error("it is a symlink", { cause: error }) : error;
}
