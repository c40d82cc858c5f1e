import { writeSync } from "node:fs";
import type { ReadStream, WriteStream } from "node:tty";
import type { TerminalReadable, TerminalWritable } from "../cli.ts";

/** Size of a terminal in character cells. */
export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

/** Asks for primary device attributes: every terminal answers, after everything that it was asked before. */
const FENCE = "\u001b[c";
const FENCE_ANSWER = /\u001b\[\?[0-9;]*c/;
const FENCE_MS = 300;
const SETTLE_MS = 15;
const EXIT_WRITES = 40;

/**
 * The terminal that this command runs in. Raw while it is entered, and put back on every way out of the process:
 * end, error, signal, and even `process.exit` somewhere else.
 */
export class LocalTerminal implements Disposable {
  readonly #stdin: TerminalReadable;
  readonly #stdout: TerminalWritable;
  readonly #undo: () => string;
  #raw = false;
  #restored = false;
  #undone = false;
  readonly #onExit = (): void => this.#restoreNow();
  readonly #onContinue = (): void => this.#reenter();

  /** `undo` gives what puts the screen back. */
  constructor(stdin: TerminalReadable, stdout: TerminalWritable, undo: () => string) {
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#undo = undo;
  }

  /** Whether someone types here and sees the output here. */
  get interactive(): boolean {
    return isTty(this.#stdin) && isTty(this.#stdout);
  }

  get size(): TerminalSize | undefined {
    const { columns, rows } = this.#stdout;
    if (columns === undefined || rows === undefined || columns < 1 || rows < 1) return undefined;
    return { cols: Math.min(columns, 10_000), rows: Math.min(rows, 10_000) };
  }

  /** Takes keys one by one, without echo, and sends control keys on as bytes. */
  enter(): void {
    process.once("exit", this.#onExit);
    process.on("SIGCONT", this.#onContinue);
    if (isTty(this.#stdin)) this.#stdin.setRawMode(true);
    this.#raw = true;
    unblock(this.#stdout);
  }

  /** Calls back when the size changes, until `signal` aborts. */
  onResize(listener: (size: TerminalSize) => void, signal: AbortSignal): void {
    const act = (): void => {
      if (this.size !== undefined) listener(this.size);
    };
    this.#stdout.on("resize", act);
    signal.addEventListener("abort", () => this.#stdout.off("resize", act), { once: true });
  }

  /** Shows bytes; resolves when the terminal took them, so that a slow one slows the machine and nothing piles up here. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stdout.write(bytes, (error) => (error == null ? resolve() : reject(error)));
    });
  }

  /** Puts the screen back, reads away what is still coming from the terminal, and gives the keys back. */
  async leave(expectAnswers: boolean): Promise<void> {
    if (this.#restored) return;
    this.#undoScreen();
    if (this.interactive) await this.#drain(expectAnswers);
    this.#restoreNow();
  }

  [Symbol.dispose](): void {
    this.#restoreNow();
  }

  /** Input that arrives now was typed for, or caused by, the machine's program: the host's shell must not get it. */
  async #drain(fence: boolean): Promise<void> {
    if (fence) writeNow(this.#stdout, FENCE);
    let seen = "";
    const fenced = new Promise<void>((resolve) => {
      this.#stdin.on("data", (bytes: Uint8Array) => {
        seen = (seen + Buffer.from(bytes).toString("latin1")).slice(-256);
        if (fence && FENCE_ANSWER.test(seen)) resolve();
      });
      this.#stdin.resume();
    });
    if (fence) await Promise.race([fenced, pause(FENCE_MS)]);
    await pause(SETTLE_MS);
  }

  #restoreNow(): void {
    process.off("exit", this.#onExit);
    process.off("SIGCONT", this.#onContinue);
    if (!this.#raw || this.#restored) return;
    this.#restored = true;
    this.#undoScreen();
    this.#stdin.pause();
    try {
      if (isTty(this.#stdin)) this.#stdin.setRawMode(false);
    } catch {
      // The terminal is gone: nothing is left to put back.
    }
  }

  #undoScreen(): void {
    if (!this.#undone) writeNow(this.#stdout, this.#undo());
    this.#undone = true;
  }

  /** After a stop and `fg` the shell has set its own mode; libuv skips a mode that it believes to be set. */
  #reenter(): void {
    if (!this.#raw || this.#restored || !isTty(this.#stdin)) return;
    this.#stdin.setRawMode(false);
    this.#stdin.setRawMode(true);
    this.#stdout.emit("resize");
  }
}

function isTty(stream: TerminalReadable): stream is ReadStream;
function isTty(stream: TerminalWritable): stream is WriteStream;
function isTty(stream: TerminalReadable | TerminalWritable): boolean {
  return stream.isTTY === true;
}

/**
 * Node writes to terminals synchronously, and a terminal that does not read would stop the keys too, Ctrl-C among them.
 * Its handle can be told not to; where it can't, the output is merely synchronous.
 */
function unblock(stream: TerminalWritable): void {
  const handle: unknown = Reflect.get(stream, "_handle");
  if (typeof handle !== "object" || handle === null || !("setBlocking" in handle)) return;
  const { setBlocking } = handle;
  if (typeof setBlocking === "function") Reflect.apply(setBlocking, handle, [false]);
}

/** Writes without the event loop, for the way out; a terminal that takes nothing is given up soon. */
function writeNow(stream: TerminalWritable & { readonly fd?: number }, text: string): void {
  if (stream.isTTY !== true) return;
  let rest = Buffer.from(text);
  for (let attempt = 0; rest.length > 0 && attempt < EXIT_WRITES; attempt += 1) {
    try {
      rest = rest.subarray(writeSync(stream.fd ?? 1, rest));
    } catch (cause) {
      if (!(cause instanceof Error && "code" in cause && cause.code === "EAGAIN")) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
