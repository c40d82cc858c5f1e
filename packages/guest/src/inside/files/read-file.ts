import { closeSync, constants, openSync, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { FILES_CHUNK_BYTES, MAX_READ_BYTES, SMALL_READ_BYTES } from "../../files-protocol.ts";
import { FileFailure, fileFailure, quoted } from "./file-failure.ts";
import { ofHeld, type Held } from "./held.ts";
import { pathOf, type Reach } from "./reach.ts";
import { walkToFound } from "./walk.ts";

const readAsync = promisify(read);

/** An open file of which a part is to be read. */
export interface OpenFile extends Disposable {
  readonly doing: string;
  /** With every symlink resolved. */
  readonly path: string;
  readonly fd: number;
  readonly size: number;
  readonly offset: number;
  /** Bytes that will be read, at most. */
  readonly length: number;
}

/** What was read: of which file, its whole size, how many bytes, whether those are all of it. */
export interface ReadResult {
  readonly path: string;
  readonly size: number;
  readonly bytes: number;
  readonly whole: boolean;
}

/** Opens a regular file for reading; anything else is refused before it is opened. */
export function openForReading(reach: Reach, path: string, offset: number, length: number): OpenFile {
  const doing = `Cannot read ${quoted(path)}`;
  const { held, names } = walkToFound(reach, path, { follow: true, doing });
  try {
    requireFile(held, doing);
    const size = held.stat.size;
    // Files of /proc and /sys say that they are empty; what they hold shows at the end.
    const left = size === 0 ? SMALL_READ_BYTES * 16 : Math.max(0, size - offset);
    const wanted = Math.min(length, left);
    if (wanted > MAX_READ_BYTES) throw tooLarge(doing, wanted);
    const fd = openHeld(held, doing);
    const file = { doing, path: pathOf(names), fd, size, offset, length: wanted };
    return { ...file, [Symbol.dispose]: () => closeSync(fd) };
  } finally {
    closeSync(held.fd);
  }
}

/** Opens what is held for reading; it is a regular file, so that nothing waits for a writer or a device. */
function openHeld(held: Held, doing: string): number {
  try {
    return openSync(ofHeld(held.fd), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw fileFailure(error, doing);
  }
}

/** Whether a file is so small that it is read in one step. */
export function isSmall(file: OpenFile): boolean {
  return file.size > 0 && file.length <= SMALL_READ_BYTES;
}

/** Reads a small file at once. */
export function readSmall(file: OpenFile): { readonly bytes: Buffer; readonly result: ReadResult } {
  const buffer = Buffer.allocUnsafe(file.length);
  let at = 0;
  try {
    while (at < buffer.length) {
      const got = readSync(file.fd, buffer, at, buffer.length - at, file.offset + at);
      if (got === 0) break;
      at += got;
    }
  } catch (error) {
    throw fileFailure(error, file.doing);
  }
  return { bytes: buffer.subarray(0, at), result: resultOf(file, at, false) };
}

/** Takes the parts of a file that is read. */
export interface PartSink {
  /** Memory for the next part, once there is some. */
  buffer(): Promise<Buffer>;
  /** Takes a part: the beginning of memory that was asked for before. */
  take(buffer: Buffer, length: number): void;
}

/** Reads a file part by part. */
export async function readParts(file: OpenFile, sink: PartSink, signal: AbortSignal): Promise<ReadResult> {
  let at = 0;
  let ended = false;
  while (at < file.length && !ended) {
    const buffer = await sink.buffer();
    signal.throwIfAborted();
    const wanted = Math.min(buffer.length, file.length - at);
    const { bytesRead } = await readAsync(file.fd, buffer, 0, wanted, file.offset + at).catch(
      (error: unknown) => {
        throw fileFailure(error, file.doing);
      },
    );
    ended = bytesRead === 0;
    at += bytesRead;
    sink.take(buffer, bytesRead);
  }
  return resultOf(file, at, ended);
}

/** The bytes of a held file; each part is good until the next is asked for. */
export async function* partsOf(held: Held, doing: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const fd = openHeld(held, doing);
  try {
    for (let at = 0; ;) {
      signal.throwIfAborted();
      const buffer = Buffer.allocUnsafe(FILES_CHUNK_BYTES);
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    closeSync(fd);
  }
}

/** A file that says it is empty has the size of what it gave. */
function resultOf(file: OpenFile, bytes: number, ended: boolean): ReadResult {
  const size = file.size === 0 ? file.offset + bytes : file.size;
  const atEnd = file.size === 0 ? ended || file.length === 0 : file.offset + bytes >= size;
  return { path: file.path, size, bytes, whole: file.offset === 0 && atEnd };
}

function requireFile(held: Held, doing: string): void {
  if (held.kind === "folder") throw new FileFailure("PATH_INVALID", `${doing}: it is a folder`);
  if (held.kind !== "file") throw new FileFailure("PATH_INVALID", `${doing}: it is no regular file`);
}

function tooLarge(doing: string, bytes: number): FileFailure {
  const most = String(MAX_READ_BYTES);
  return new FileFailure(
    "INPUT_TOO_LARGE",
    `${doing}: ${String(bytes)} bytes are over ${most} in one read; read parts`,
  );
}
