/** Counts connections of a kind in each second, so that a machine that floods its socket costs the bridge a bounded effort. */
export class IntruderLimit {
  #second = 0;
  #count = 0;
  readonly #perSecond: number;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Notes a connection; answers whether there were too many in this second. */
  exceeded(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) this.#count = 0;
    this.#second = second;
    this.#count += 1;
    return this.#count > this.#perSecond;
  }
}
