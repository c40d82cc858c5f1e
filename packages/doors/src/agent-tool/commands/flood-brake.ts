/** What a program may write before it is slowed down, and how much it may write in a second from then on, in bytes. */
const BURST_BYTES = 16_777_216;
const BYTES_PER_SECOND = 16_777_216;

/** Something that can be read or held back, so that whoever writes to it waits. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/** Holds a flooding program back at its own pipe, so that reading it never takes the bridge from others. */
export class FloodBrake implements Disposable {
  readonly #flow: Flow;
  readonly #began = performance.now();
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  /** Counts what was read. */
  read(bytes: number): void {
    this.#bytes += bytes;
    const allowed = BURST_BYTES + ((performance.now() - this.#began) / 1000) * BYTES_PER_SECOND;
    if (this.#bytes <= allowed || this.#timer !== undefined) return;
    this.#flow.pause();
    this.#timer = setTimeout(() => this.#release(), ((this.#bytes - allowed) / BYTES_PER_SECOND) * 1000);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #release(): void {
    this.#timer = undefined;
    this.#flow.resume();
  }
}
