/** Refused connections that are put up with in one second. */
const REFUSED_PER_SECOND = 200;

/** Counts connections that broke the rules, so that a machine that floods its socket costs the bridge a bounded effort. */
export class IntruderLimit {
  #second = 0;
  #refused = 0;

  /** Notes a refused connection; answers whether there were too many in this second. */
  refused(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) this.#refused = 0;
    this.#second = second;
    this.#refused += 1;
    return this.#refused > REFUSED_PER_SECOND;
  }
}
