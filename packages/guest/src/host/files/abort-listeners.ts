/** Listens to signals, once to each: thousands of calls may have the same one, and an event target finds a listener by looking at all. */
export class AbortListeners {
  readonly #bySignal = new Map<AbortSignal, Listening>();

  /** Calls back when the signal aborts; answers what ends that. */
  add(signal: AbortSignal, aborted: () => void): () => void {
    const listening = this.#bySignal.get(signal) ?? this.#listen(signal);
    listening.callbacks.add(aborted);
    return () => {
      if (!listening.callbacks.delete(aborted) || listening.callbacks.size > 0) return;
      signal.removeEventListener("abort", listening.all);
      if (this.#bySignal.get(signal) === listening) this.#bySignal.delete(signal);
    };
  }

  #listen(signal: AbortSignal): Listening {
    const callbacks = new Set<() => void>();
    const all = (): void => {
      this.#bySignal.delete(signal);
      for (const callback of callbacks) callback();
    };
    const listening = { callbacks, all };
    this.#bySignal.set(signal, listening);
    signal.addEventListener("abort", all, { once: true });
    return listening;
  }
}

interface Listening {
  readonly callbacks: Set<() => void>;
  readonly all: () => void;
}
