/** Longest time between two looks at the clocks: timers stand still during suspend, and `setTimeout` wraps after 24.8 days. */
const LONGEST_MS = 1000;

/** Calls `sweep` about when the next deadline is due. Only a help for idle sessions: every check reads the clocks itself. */
export class ExpiryWatch implements Disposable {
  readonly #sweep: () => number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** `sweep` ends what is due and answers the milliseconds until the next deadline; undefined when there is none. */
  constructor(sweep: () => number | undefined) {
    this.#sweep = sweep;
  }

  /** Looks at the deadlines now and goes on from there. */
  look(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const next = this.#sweep();
    if (next === undefined) return;
    this.#timer = setTimeout(() => this.look(), Math.max(1, Math.min(next, LONGEST_MS)));
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
