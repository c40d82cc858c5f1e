import type { Writable } from "node:stream";

const LOOK_MS = 2000;

/**
 * Watches whether the program that started this one still wants it. Most end their child's stdin; one that was killed
 * may have left that open in another child, but then this process has another parent.
 */
export class ClientLife implements Disposable {
  readonly #over = new AbortController();
  readonly #parent = process.ppid;
  readonly #timer: NodeJS.Timeout;

  constructor(stdout: Writable, signal: AbortSignal) {
    const end = (): void => this.#over.abort();
    this.#timer = setInterval(() => {
      if (process.ppid !== this.#parent) end();
    }, LOOK_MS).unref();
    stdout.once("error", end);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  }

  /** Aborts when nobody is there any more. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
