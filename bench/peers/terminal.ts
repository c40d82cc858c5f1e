/** One terminal of a peer, with the same program in each. */
export interface BenchTerminal extends AsyncDisposable {
  write(text: string): void;
  /** Takes output from now on. */
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Its program has ended and all output was handed on. */
  readonly ended: Promise<void>;
}

/** Somebody who opens terminals. */
export interface TerminalPeer {
  readonly name: string;
  open(argv: readonly string[]): Promise<BenchTerminal>;
}

/** Hands output to whoever listens now; what comes before anybody listens is kept. */
export class OutputTap {
  #listener: ((bytes: Uint8Array) => void) | undefined;
  #early: Uint8Array[] = [];

  readonly push = (bytes: Uint8Array): void => {
    if (this.#listener === undefined) this.#early.push(bytes);
    else this.#listener(bytes);
  };

  listen(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
    for (const bytes of this.#early.splice(0)) listener(bytes);
  }
}

/** Size of every terminal. */
export const TERMINAL_SIZE = { cols: 120, rows: 40 } as const;
