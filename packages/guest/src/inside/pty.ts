import { closeSync, constants as flags, openSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { ReadStream } from "node:tty";
import type { ExitStatus } from "@doorward/contracts";
import type { CloseOnExec } from "./close-on-exec.ts";
import { PtyInput } from "./pty-input.ts";

/** node-pty's native module; its JavaScript part drops output of a paused terminal 200 ms after exit, so it is not used. */
interface NativePty {
  fork(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string,
    cols: number,
    rows: number,
    uid: number,
    gid: number,
    utf8: boolean,
    helperPath: string,
    onExit: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number; readonly pty: string };
  resize(fd: number, cols: number, rows: number, xPixels: number, yPixels: number): void;
}

/** What to run on a new pseudo-terminal; the program is an absolute path or found in PATH. */
export interface PtyOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly cols: number;
  readonly rows: number;
}

/** Who hears of a pseudo-terminal's output and end; the bytes are only valid during the call. */
export interface PtyEvents {
  output(bytes: Buffer): void;
  /** The program ended and all its output was handed on. */
  exit(status: ExitStatus): void;
}

const READ_BYTES = 65_536;
/** One read of a pseudo-terminal answers at most this much, so a smaller one means that there is no more. */
const FULL_READ_BYTES = 4000;
/** How long programs left in the background may keep writing after the terminal's own program ended. */
const DRAIN_MS = 250;

const shared = Buffer.allocUnsafeSlow(READ_BYTES);
let native: NativePty | undefined;
let closing: CloseOnExec | undefined;

/** Loads node-pty's native module from `path`; without it no terminal can be opened. */
export function loadNativePty(path: string, closeOnExec: CloseOnExec): void {
  const loaded: unknown = createRequire(import.meta.url)(path);
  if (!isNativePty(loaded)) throw new TypeError(`Cannot use "${path}": it is not node-pty's native module`);
  native = loaded;
  closing = closeOnExec;
}

function isNativePty(value: unknown): value is NativePty {
  return typeof value === "object" && value !== null && "fork" in value && "resize" in value;
}

/** A program on its own pseudo-terminal. */
export class Pty {
  readonly pid: number;
  readonly #fd: number;
  readonly #native: NativePty;
  readonly #stream: ReadStream;
  readonly #events: PtyEvents;
  readonly #input: PtyInput;
  /**
   * The program's side, open until it ended: without it a program that closes its own before it exits, as `cat` does, would
   * be hung up by whoever reads that nobody is there any more.
   */
  #programSide: number | undefined;
  #status: ExitStatus | undefined;
  #closed = false;
  #paused = false;

  constructor(options: PtyOptions, events: PtyEvents) {
    if (native === undefined)
      throw new Error("Cannot open terminal: node-pty's native module was not loaded");
    this.#native = native;
    this.#events = events;
    const env = Object.entries(options.env).map(([name, value]) => `${name}=${value}`);
    const { program, args, cwd, cols, rows } = options;
    const forked = native.fork(program, args, env, cwd, cols, rows, -1, -1, true, "", (code, signal) => {
      this.#exited({ code: signal === 0 ? code : null, signal: signal === 0 ? null : signalName(signal) });
    });
    closing?.set(forked.fd);
    this.pid = forked.pid;
    this.#fd = forked.fd;
    this.#programSide = openTerminal(forked.pty);
    this.#stream = this.#openStream();
    this.#input = new PtyInput((bytes) => writeSync(this.#fd, bytes));
  }

  /** Types bytes; `drained` is called once they are all in the kernel. */
  write(bytes: Buffer, drained: () => void): void {
    if (this.#closed) drained();
    else this.#input.write(bytes, drained);
  }

  resize(cols: number, rows: number): void {
    if (!this.#closed) this.#native.resize(this.#fd, cols, rows, 0, 0);
  }

  /** Stops reading, which lets the kernel's buffer fill and the program wait. */
  pause(): void {
    if (this.#paused || this.#closed || this.#status !== undefined) return;
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.#stream.resume();
  }

  /** Sends a signal to the program's session leader and its group. */
  kill(signal: NodeJS.Signals): void {
    if (this.#status !== undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // gone between the check and the call
    }
  }

  #openStream(): ReadStream {
    const onread = { buffer: shared, callback: (length: number) => this.#read(length) };
    const options: object = { onread };
    const stream = new ReadStream(this.#fd, options);
    // EIO is how Linux says that the last program closed the terminal
    stream.on("error", () => this.#end());
    stream.once("close", () => this.#end());
    stream.resume();
    return stream;
  }

  #read(first: number): boolean {
    let total = first;
    let last = first;
    while (last >= FULL_READ_BYTES && READ_BYTES - total >= FULL_READ_BYTES) {
      last = this.#readMore(total);
      total += last;
    }
    this.#events.output(shared.subarray(0, total));
    return !this.#paused;
  }

  #readMore(at: number): number {
    try {
      return readSync(this.#fd, shared, at, READ_BYTES - at, null);
    } catch {
      // EAGAIN: no more for now; EIO comes again through the stream
      return 0;
    }
  }

  #exited(status: ExitStatus): void {
    if (this.#programSide !== undefined) closeSync(this.#programSide);
    this.#programSide = undefined;
    this.resume();
    this.#status = status;
    if (this.#closed) this.#events.exit(status);
    else setTimeout(() => this.#end(), DRAIN_MS).unref();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#input.close();
    this.#stream.destroy();
    if (this.#status !== undefined) this.#events.exit(this.#status);
  }
}

/** A terminal's device; undefined when there is no descriptor left, without which the terminal works too. */
function openTerminal(path: string): number | undefined {
  try {
    return openSync(path, flags.O_RDWR | flags.O_NOCTTY);
  } catch {
    return undefined;
  }
}

function signalName(number: number): string {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found?.[0] ?? "SIGKILL";
}
