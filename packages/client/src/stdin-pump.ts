/** Largest piece of stdin in one message, in bytes. */
const PIECE = 65_536;

/** Feeds a command's stdin no faster than its credit allows. */
export class StdinPump {
  readonly #send: (bytes: Uint8Array) => void;
  #credit = 0;
  #stopped = false;
  #wake: () => void = () => undefined;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  /** Allows so many more bytes. */
  credit(bytes: number): void {
    this.#credit += bytes;
    this.#wake();
  }

  /** Ends the feeding; what is not sent yet is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Sends everything; resolves at the end of the source, or when stopped. */
  async run(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const bytes of source) {
      await this.#sendAll(bytes);
      if (this.#stopped) return;
    }
  }

  async #sendAll(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length && !this.#stopped) {
      if (this.#credit === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      const piece = bytes.subarray(at, at + Math.min(PIECE, this.#credit));
      this.#credit -= piece.length;
      at += piece.length;
      this.#send(piece);
    }
  }
}
