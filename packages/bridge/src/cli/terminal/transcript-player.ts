import { setTimeout as delay } from "node:timers/promises";
import type { Cli } from "../cli.ts";
import type { TranscriptContent } from "../transcript-file.ts";
import { LocalTerminal } from "./local-terminal.ts";
import { SequenceFilter } from "./sequence-filter.ts";

const SPACE = 0x20;
const QUIT_KEYS: ReadonlySet<number> = new Set([0x71, 0x51, 0x03, 0x04]);

/** How a transcript is played. */
export interface PlayOptions {
  readonly speed: number;
  /** Longest pause between two events, in seconds of the recording. */
  readonly idleSeconds: number;
}

/**
 * Plays a transcript in this terminal: Space pauses and goes on, `.` steps, q and Ctrl-C end. What it shows goes through
 * the same filter as a live terminal, because a file is no more trusted than a machine.
 */
export class TranscriptPlayer {
  readonly #cli: Cli;
  readonly #filter = new SequenceFilter();
  readonly #terminal: LocalTerminal;
  readonly #stop = new AbortController();
  #paused = false;
  #wake: () => void = () => undefined;

  constructor(cli: Cli) {
    this.#cli = cli;
    this.#terminal = new LocalTerminal(cli.stdin, cli.stdout, () => this.#filter.screen.undo());
  }

  /** Resolves when it was played to its end, or the viewer quit. */
  async play(content: TranscriptContent, options: PlayOptions): Promise<void> {
    const { stdin, signal } = this.#cli;
    const key = (bytes: Uint8Array): void => this.#keys(bytes);
    const quit = (): void => {
      this.#stop.abort();
      this.#wake();
    };
    signal.addEventListener("abort", quit, { once: true });
    const { interactive } = this.#terminal;
    if (interactive) {
      this.#terminal.enter();
      stdin.on("data", key);
      stdin.resume();
    }
    try {
      await this.#events(content, options);
    } finally {
      signal.removeEventListener("abort", quit);
      stdin.off("data", key);
      if (interactive) await this.#terminal.leave(false);
      stdin.pause();
    }
  }

  async #events({ events }: TranscriptContent, { speed, idleSeconds }: PlayOptions): Promise<void> {
    for await (const [interval, code, data] of events) {
      if (!this.#stopped) await this.#wait((Math.min(interval, idleSeconds) / speed) * 1000);
      if (this.#stopped) return;
      if (code === "o") await this.#terminal.write(this.#filter.push(Buffer.from(data)));
    }
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #keys(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (QUIT_KEYS.has(byte)) this.#stop.abort();
      else if (byte === SPACE) this.#paused = !this.#paused;
      else if (byte === 0x2e && this.#paused) {
        this.#wake();
        return;
      }
    }
    if (!this.#paused || this.#stopped) this.#wake();
  }

  /** Waits for a length of playing time, or until a pause is over; into a file or a pipe everything goes at once. */
  async #wait(milliseconds: number): Promise<void> {
    if (this.#paused) await this.#woken();
    else if (milliseconds > 0 && this.#cli.stdout.isTTY === true) await this.#elapsed(milliseconds);
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  async #elapsed(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    if (this.#paused && !this.#stopped) await this.#woken();
  }
}
