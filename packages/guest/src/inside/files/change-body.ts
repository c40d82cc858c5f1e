/** The bytes that come along with a change, handed on as they are asked for. */
export class ChangeBody {
  readonly #credit: (bytes: number) => void;
  #toCome: number;
  #parts: Buffer[] = [];
  #wake: (() => void) | undefined;
  #discarding = false;

  constructor(bytes: number, credit: (bytes: number) => void) {
    this.#toCome = bytes;
    this.#credit = credit;
  }

  /** Whether all of it was received. */
  get complete(): boolean {
    return this.#toCome === 0;
  }

  /** Takes what was received; answers whether that was announced. */
  push(part: Buffer): boolean {
    if (part.length > this.#toCome) return false;
    this.#toCome -= part.length;
    if (this.#discarding) this.#credit(part.length);
    else this.#parts.push(part);
    this.#wake?.();
    return true;
  }

  /** The next bytes, so many of them; it ends early with the signal. */
  async *take(bytes: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0;) {
      signal.throwIfAborted();
      const part = this.#parts.shift();
      if (part === undefined) {
        await this.#more(signal);
        continue;
      }
      const used = part.subarray(0, left);
      if (used.length < part.length) this.#parts.unshift(part.subarray(left));
      left -= used.length;
      yield used;
      this.#credit(used.length);
    }
  }

  /** Nobody asks for the rest. */
  discard(): void {
    this.#discarding = true;
    for (const part of this.#parts) this.#credit(part.length);
    this.#parts = [];
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
