import { AbortListeners } from "@doorward/guest";

const listeners = new AbortListeners();

/**
 * A signal that aborts with the first of some others, until it is disposed. Unlike `AbortSignal.any` it leaves nothing
 * behind on a signal that lives for a whole session, and listens to it once for all calls.
 */
export class FirstAbort implements Disposable {
  readonly #controller = new AbortController();
  readonly #leave: readonly (() => void)[];

  constructor(...signals: readonly AbortSignal[]) {
    const aborted = signals.find((signal) => signal.aborted);
    if (aborted !== undefined) this.#controller.abort(aborted.reason);
    this.#leave = signals.map((signal) => listeners.add(signal, () => this.#controller.abort(signal.reason)));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const leave of this.#leave) leave();
  }
}
