import { loadFfi } from "./ffi.ts";

/** The same on every Linux that we run on. */
const [F_SETFD, FD_CLOEXEC] = [2, 1];

type Fcntl = (fd: number, command: number, value: number) => number;

/**
 * Keeps descriptors from programs that are started later. node-pty makes a terminal's without that, and every command
 * would get all of them: it could type into the terminals of others, and would keep them from being hung up.
 */
export class CloseOnExec {
  readonly #path: string;
  #fcntl: Fcntl | undefined;
  #failed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Closes a descriptor in every program that is started from now on. The native module is loaded at the first. */
  set(fd: number): void {
    if (this.#fcntl === undefined && !this.#failed) this.#load();
    this.#fcntl?.(fd, F_SETFD, FD_CLOEXEC);
  }

  #load(): void {
    try {
      this.#fcntl = loadFfi<Fcntl>(this.#path, "int fcntl(int fd, int command, int value)");
    } catch (error) {
      this.#failed = true;
      console.error("commands get the descriptors of terminals:", error);
    }
  }
}
