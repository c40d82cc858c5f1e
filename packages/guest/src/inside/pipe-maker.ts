import { loadFfi } from "./ffi.ts";
import { KernelError } from "./start-failure.ts";

/** Same value on every Linux that we run on. */
const O_CLOEXEC = 0o2000000;

/** The two ends of a pipe, as descriptors. */
export interface PipeEnds {
  readonly read: number;
  readonly write: number;
}

type Pipe2 = (ends: [number, number], flags: number) => number;

/**
 * Makes pipes for commands. Node can only give children socket pairs, and `/dev/stdin`, `/dev/stdout` and `/dev/stderr`
 * can't be opened on those, which breaks ordinary scripts; named pipes hang readers that open them after the writer left.
 */
export class PipeMaker {
  readonly #path: string;
  #pipe2: Pipe2 | undefined;
  #failed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether pipes can be had; commands get socket pairs otherwise. The native module is loaded at the first question. */
  get usable(): boolean {
    if (this.#pipe2 === undefined && !this.#failed) this.#load();
    return !this.#failed;
  }

  /** A new pipe; both ends are closed in children that don't get them. */
  make(): PipeEnds {
    const ends: [number, number] = [-1, -1];
    if (!this.usable || this.#pipe2?.(ends, O_CLOEXEC) !== 0)
      throw new KernelError("EMFILE", "Cannot make pipe: no descriptor is left");
    return { read: ends[0], write: ends[1] };
  }

  #load(): void {
    try {
      this.#pipe2 = loadFfi<Pipe2>(this.#path, "int pipe2(_Out_ int *ends, int flags)");
    } catch (error) {
      this.#failed = true;
      console.error("commands get socket pairs instead of pipes:", error);
    }
  }
}
