const FIRST_BYTES = 65_536;

/**
 * The last bytes of a terminal's output at absolute positions: `head` is the length of all output so far, `tail` the oldest
 * byte still kept. Memory grows with the output up to `capacity` and is never given back.
 */
export class ScrollbackRing {
  readonly #capacity: number;
  #bytes: Buffer;
  #head = 0;
  #tail = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(capacity, FIRST_BYTES));
  }

  get head(): number {
    return this.#head;
  }

  get tail(): number {
    return this.#tail;
  }

  /** Appends output, overwriting the oldest when full. */
  append(chunk: Buffer): void {
    this.#growFor(chunk.length);
    const size = this.#bytes.length;
    const kept = chunk.length > size ? chunk.subarray(chunk.length - size) : chunk;
    const start = (this.#head + chunk.length - kept.length) % size;
    const first = Math.min(kept.length, size - start);
    kept.copy(this.#bytes, start, 0, first);
    kept.copy(this.#bytes, 0, first);
    this.#head += chunk.length;
    this.#tail = Math.max(this.#tail, this.#head - size);
  }

  /** Copies output from position `from` on into `target` at `at`, as much as there is and fits; answers how much. */
  copy(from: number, target: Buffer, at: number): number {
    const length = Math.min(this.#head - from, target.length - at);
    const size = this.#bytes.length;
    const start = from % size;
    const first = Math.min(length, size - start);
    this.#bytes.copy(target, at, start, start + first);
    this.#bytes.copy(target, at + first, 0, length - first);
    return length;
  }

  /** Where output of at most `bytes` begins, moved on past the first line break so that it starts with a whole line. */
  startOfLine(bytes: number): number {
    const from = Math.max(this.#tail, this.#head - bytes);
    if (from === 0) return 0;
    const probe = Buffer.alloc(Math.min(4096, this.#head - from));
    this.copy(from, probe, 0);
    const found = probe.indexOf(0x0a);
    return found < 0 ? from : from + found + 1;
  }

  #growFor(more: number): void {
    const size = this.#bytes.length;
    const needed = Math.min(this.#capacity, this.#head - this.#tail + more);
    if (needed <= size) return;
    let grown = size;
    while (grown < needed) grown = Math.min(this.#capacity, grown * 2);
    const next = Buffer.allocUnsafeSlow(grown);
    const kept = Buffer.allocUnsafe(this.#head - this.#tail);
    this.copy(this.#tail, kept, 0);
    const start = this.#tail % grown;
    const first = Math.min(kept.length, grown - start);
    kept.copy(next, start, 0, first);
    kept.copy(next, 0, first);
    this.#bytes = next;
  }
}
