import type { OutputChunk } from "@doorward/contracts";

/** What is new in a chunk, and the gap before it. */
export interface NewOutput {
  readonly gap: { readonly from: number; readonly to: number } | undefined;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Where a viewer is in a terminal's output: what it expects next, what its reader consumed, and what it acknowledged. */
export class OutputPosition {
  #expected = 0;
  #consumed = 0;
  #acknowledged = 0;

  /** Position of the next byte. */
  get expected(): number {
    return this.#expected;
  }

  /** Begins at a position; everything before it is not this viewer's. */
  begin(offset: number): void {
    this.#expected = this.#consumed = this.#acknowledged = offset;
  }

  /** What of a chunk was not seen yet; undefined when nothing. */
  take({ offset, bytes }: OutputChunk): NewOutput | undefined {
    const seen = Math.max(0, this.#expected - offset);
    if (seen >= bytes.length) return undefined;
    const from = this.#expected;
    const gap = this.skipTo(offset) ? { from, to: offset } : undefined;
    this.#expected = offset + bytes.length;
    return { gap, offset: offset + seen, bytes: bytes.subarray(seen) };
  }

  /** Goes on at a later position; what lies between counts as consumed. False when nothing lies between. */
  skipTo(offset: number): boolean {
    const missing = offset - this.#expected;
    if (missing <= 0) return false;
    this.#consumed += missing;
    this.#expected = offset;
    return true;
  }

  /** Notes that bytes were consumed. */
  consume(bytes: number): void {
    this.#consumed += bytes;
  }

  /** Position to acknowledge now, once a quarter of the window was consumed since the last time. */
  due(window: number): number | undefined {
    if (this.#consumed - this.#acknowledged < window / 4) return undefined;
    this.#acknowledged = this.#consumed;
    return this.#consumed;
  }
}
