/** A part of a terminal's output that a viewer may get, and where the gap in front of it begins. */
export interface AllowedOutput {
  readonly gapFrom: number | undefined;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Keeps from a viewer whatever is older than the scrollback of its terminal, however much of it the machine sends. */
export class OutputFloor {
  readonly #oldest: number;
  #told: number;

  /** `start` is where the viewer believes to begin. */
  constructor(oldest: number, start: number) {
    this.#oldest = oldest;
    this.#told = start;
  }

  /** What of some output may be passed on; undefined when all of it is too old. */
  output(bytes: Buffer, offset: number): AllowedOutput | undefined {
    const old = Math.max(0, this.#oldest - offset);
    if (old >= bytes.length) return undefined;
    const from = this.#told;
    this.#told = offset + bytes.length;
    const allowed = offset + old;
    return { gapFrom: allowed > from ? from : undefined, offset: allowed, bytes: bytes.subarray(old) };
  }

  /** Where a gap up to `to` begins for the viewer; undefined when it ends among what is too old anyway. */
  gap(to: number): number | undefined {
    if (to <= this.#oldest || to <= this.#told) return undefined;
    const from = this.#told;
    this.#told = to;
    return from;
  }
}
