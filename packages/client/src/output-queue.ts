/** Takes output bytes; a promise holds the next bytes back until it settles. */
export type OutputSink = (bytes: Uint8Array) => void | Promise<void>;

/** Hands output on in order, one piece at a time, and tells what was consumed. */
export class OutputQueue {
  readonly #consumed: (bytes: number) => void;
  readonly #failed: (cause: unknown) => void;
  #tail: Promise<void> | undefined;

  /** `consumed` is called with the length of each piece after its sink is done with it; `failed` when a sink throws. */
  constructor(consumed: (bytes: number) => void, failed: (cause: unknown) => void) {
    this.#consumed = consumed;
    this.#failed = failed;
  }

  /** Hands a piece to a sink: at once when nothing waits, else after what waits. */
  push(sink: OutputSink, bytes: Uint8Array): void {
    if (this.#tail !== undefined) {
      this.#follow(
        this.#tail.then(() => sink(bytes)),
        bytes.length,
      );
      return;
    }
    try {
      const pending = sink(bytes);
      if (pending === undefined) this.#consumed(bytes.length);
      else this.#follow(pending, bytes.length);
    } catch (cause) {
      this.#failed(cause);
    }
  }

  /** Resolves when everything pushed so far was consumed. */
  async drained(): Promise<void> {
    while (this.#tail !== undefined) await this.#tail;
  }

  #follow(pending: Promise<void>, length: number): void {
    const tail: Promise<void> = pending.catch(this.#failed).then(() => {
      if (this.#tail === tail) this.#tail = undefined;
      this.#consumed(length);
    });
    this.#tail = tail;
  }
}
