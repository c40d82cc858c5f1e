const STEP_MS = 5;

/**
 * Counts the milliseconds that this process could run in, for a bound on what happens inside it: on a busy host others
 * take their share of the time that passes. What it computes itself counts in full, standing still as one short step.
 */
export class OwnTime implements Disposable {
  #ms = 0;
  #at = performance.now();
  #used = process.cpuUsage();
  readonly #timer = setInterval(() => this.#step(), STEP_MS);

  /** Milliseconds since the start. */
  get ms(): number {
    this.#step();
    return this.#ms;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #step(): void {
    const { user, system } = process.cpuUsage(this.#used);
    const now = performance.now();
    this.#ms += Math.min(now - this.#at, Math.max(2 * STEP_MS, (user + system) / 1000));
    [this.#at, this.#used] = [now, process.cpuUsage()];
  }
}
