/** Input kept while a connection is down, in bytes; more is refused. */
const MAX_HELD_INPUT = 65_536;

/** Keeps what is typed while there is no connection. */
export class HeldInput {
  #pieces: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Keeps a copy; false when it does not fit. */
  keep(bytes: Uint8Array): boolean {
    if (this.#length + bytes.length > MAX_HELD_INPUT) return false;
    this.#pieces.push(bytes.slice());
    this.#length += bytes.length;
    return true;
  }

  /** Everything kept, in order; it is not kept any longer. */
  release(): readonly Uint8Array[] {
    this.#length = 0;
    return this.#pieces.splice(0);
  }
}
