import type { WaitingBytes } from "@doorward/doors";

/** How many bytes may wait. */
export interface ByteLimits {
  /** Of one grant, over all its sockets and requests. */
  readonly bytesPerGrant: number;
  /** Of all grants together; a grant that has little waiting is let through beyond it. */
  readonly bytesWaiting: number;
}

/** What a grant may have waiting although all of them together have too much, so that some can't lock out the others. */
const SHARE = 131_072;

/** Counts the bytes that wait in the bridge, by grant: they are memory that a client can make it hold. */
export class ByteBudget {
  readonly #limits: ByteLimits;
  readonly #byGrant = new Map<string, number>();
  #all = 0;

  constructor(limits: ByteLimits) {
    this.#limits = limits;
  }

  /** Bytes that wait now. */
  get waiting(): number {
    return this.#all;
  }

  /** The part of a grant. */
  of(grant: string): WaitingBytes {
    return {
      take: (bytes) => this.#take(grant, bytes),
      give: (bytes) => this.#take(grant, -bytes),
    };
  }

  #take(grant: string, bytes: number): boolean {
    const own = (this.#byGrant.get(grant) ?? 0) + bytes;
    if (bytes > 0 && own > this.#limits.bytesPerGrant) return false;
    if (bytes > 0 && own > SHARE && this.#all + bytes > this.#limits.bytesWaiting) return false;
    this.#all += bytes;
    if (own === 0) this.#byGrant.delete(grant);
    else this.#byGrant.set(grant, own);
    return true;
  }
}
