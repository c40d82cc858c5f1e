import { constants } from "node:fs";
import { loadFfi } from "../ffi.ts";
import { describe, holdBeneath, type Held } from "./held.ts";

/** Number of the system call on every architecture that we run on. */
const OPENAT2 = 437;
const O_PATH = 0o10_000_000;
const O_CLOEXEC = 0o2_000_000;
const NO_MAGICLINKS = 0x02;
const NO_SYMLINKS = 0x04;
const BENEATH = 0x08;

type Openat2 = (number: number, folder: number, path: string, how: Buffer, size: number) => number | bigint;

/** `struct open_how`: flags, mode, resolve. */
function openHow(): Buffer {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_PATH | O_CLOEXEC | constants.O_NOFOLLOW), 0);
  how.writeBigUInt64LE(BigInt(NO_MAGICLINKS | NO_SYMLINKS | BENEATH), 16);
  return how;
}

/**
 * Opens paths beneath a held folder in one step of the kernel, without a symlink anywhere. Where that fails for any
 * reason (no such system call, an old kernel, a link), the same is done name by name.
 */
export class BeneathOpener {
  readonly #ffi: string;
  readonly #how = openHow();
  #openat2: Openat2 | undefined;
  #failed = false;

  constructor(ffi: string) {
    this.#ffi = ffi;
  }

  /** Holds what lies there, a symlink itself if it is one; undefined says nothing but that it was not found this way. */
  tryHold(folder: number, names: readonly string[]): Held | undefined {
    if (this.#openat2 === undefined && !this.#failed) this.#load();
    if (this.#openat2 === undefined || names.length === 0) return undefined;
    const fd = Number(this.#openat2(OPENAT2, folder, names.join("/"), this.#how, this.#how.length));
    return fd < 0 ? undefined : describe(fd);
  }

  /** Holds what lies there; undefined where a name is absent, or one on the way is no folder. */
  hold(folder: number, names: readonly string[]): Held | undefined {
    return this.tryHold(folder, names) ?? holdBeneath(folder, names);
  }

  #load(): void {
    try {
      const declaration = "long syscall(long number, int folder, const char *path, void *how, size_t size)";
      this.#openat2 = loadFfi<Openat2>(this.#ffi, declaration);
    } catch {
      this.#failed = true;
    }
  }
}
