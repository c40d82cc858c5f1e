import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from "node:fs";
import { DoorwardError } from "@doorward/contracts";

/** One open and private file that is appended to without waiting for the disk: it survives this process, not a power cut. */
export class NoteFile implements Disposable {
  readonly #path: string;
  #fd: number;
  #size: number;

  /** Opens or makes it. STATE_INVALID where something else than a file lies there, STATE_UNWRITABLE where none can. */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openFile(path, constants.O_CREAT);
    this.#size = fstatSync(this.#fd).size;
  }

  get size(): number {
    return this.#size;
  }

  /** Its text, up to so many bytes. */
  read(most: number): string {
    const bytes = Buffer.alloc(Math.min(this.#size, most));
    let at = 0;
    for (let got = -1; got !== 0 && at < bytes.length; at += got)
      got = readSync(this.#fd, bytes, at, bytes.length - at, at);
    return bytes.toString("utf8", 0, at);
  }

  /** Appends in one write; throws when not all of it was taken. */
  append(text: string): void {
    const bytes = Buffer.from(text);
    const written = writeSync(this.#fd, bytes);
    this.#size += written;
    if (written < bytes.length) throw new Error(`only ${String(written)} bytes were written`);
  }

  clear(): void {
    ftruncateSync(this.#fd, 0);
    this.#size = 0;
  }

  /** Puts other contents in place, or leaves the old ones. */
  replace(text: string): void {
    const draft = `${this.#path}.new`;
    const fd = openFile(draft, constants.O_CREAT | constants.O_TRUNC);
    try {
      const bytes = Buffer.from(text);
      if (writeSync(fd, bytes) < bytes.length) throw new Error("not all of it was written");
      renameSync(draft, this.#path);
      closeSync(this.#fd);
      [this.#fd, this.#size] = [fd, bytes.length];
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** A pipe or device would hold the bridge up, and a link could lead anywhere. */
function openFile(path: string, flags: number): number {
  const { O_RDWR, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | flags, 0o600);
  } catch (cause) {
    throw unusable(path, cause);
  }
  if (fstatSync(fd).isFile()) {
    fchmodSync(fd, 0o600);
    return fd;
  }
  closeSync(fd);
  throw unusable(path, new Error("it is no regular file"), "STATE_INVALID");
}

function unusable(path: string, cause: unknown, code = meaning(cause)): DoorwardError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DoorwardError({
    code,
    message: `Cannot open "${path}", where calls under way are noted: ${why}`,
    hint: `ls -l ${path}`,
    details: { path },
    cause,
  });
}

/** Something else than a file, or a disk that takes none. */
function meaning(cause: unknown): "STATE_INVALID" | "STATE_UNWRITABLE" {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "ELOOP" || code === "EISDIR" || code === "ENXIO" ? "STATE_INVALID" : "STATE_UNWRITABLE";
}
