import { abortError } from "../abort-error.ts";
import type { AbortListeners } from "./abort-listeners.ts";

/** Lets so many calls be under way at once; the others wait in order. */
export class CallSlots {
  readonly #listeners: AbortListeners;
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(slots: number, listeners: AbortListeners) {
    this.#free = slots;
    this.#listeners = listeners;
  }

  /** Waits for a slot. */
  take(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(abortError(signal));
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const next = (): void => {
        forget();
        resolve();
      };
      const forget = this.#listeners.add(signal, () => {
        this.#waiting.delete(next);
        reject(abortError(signal));
      });
      this.#waiting.add(next);
    });
  }

  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
