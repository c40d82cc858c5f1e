import { DenialError } from "@doorward/contracts";

/** Counts what is open per key, and refuses what would be too much. */
export class Quota {
  readonly #what: string;
  readonly #rule: string;
  readonly #counts = new Map<string, number>();

  constructor(what: string, rule: string) {
    this.#what = what;
    this.#rule = rule;
  }

  /** Takes one of `limit`, until it is disposed. */
  take(key: string, limit: number): Disposable {
    const count = this.#counts.get(key) ?? 0;
    if (count >= limit) {
      throw new DenialError({
        code: "RATE_LIMITED",
        rule: this.#rule,
        message: `Cannot open another ${this.#what}: "${key}" has ${String(count)} of ${String(limit)}`,
      });
    }
    this.#counts.set(key, count + 1);
    let given = false;
    return {
      [Symbol.dispose]: () => {
        if (!given) this.#give(key);
        given = true;
      },
    };
  }

  #give(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }
}
