/** A bucket of tokens per key, refilled steadily; forgets keys that are full again. */
export class RateLimit {
  readonly #capacity: number;
  readonly #perMs: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { level: number; at: number }>();

  constructor(
    options: { readonly capacity: number; readonly perSecond: number },
    now: () => number = () => performance.now(),
  ) {
    this.#capacity = options.capacity;
    this.#perMs = options.perSecond / 1000;
    this.#now = now;
  }

  /** Takes one from the key's bucket; `false` when it is empty. */
  take(key: string): boolean {
    const now = this.#now();
    const bucket = this.#buckets.get(key);
    const level = bucket === undefined ? this.#capacity : this.#refilled(bucket, now);
    if (level < 1) return false;
    if (this.#buckets.size >= 4096) this.#sweep(now);
    this.#buckets.set(key, { level: level - 1, at: now });
    return true;
  }

  #refilled(bucket: { level: number; at: number }, now: number): number {
    return Math.min(this.#capacity, bucket.level + (now - bucket.at) * this.#perMs);
  }

  #sweep(now: number): void {
    for (const [key, bucket] of this.#buckets) {
      if (this.#refilled(bucket, now) >= this.#capacity) this.#buckets.delete(key);
    }
  }
}
