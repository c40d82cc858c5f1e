import type { ProgressLine } from "@doorward/contracts";
import type { Cli } from "./cli.ts";
import { escapeLine } from "@doorward/client/operator";
import type { Output } from "./output.ts";
import { elapsed } from "./times.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const FRAME_MS = 100;
/** Steps that took less leave no line behind. */
const WORTH_A_LINE_MS = 1000;
const DIGEST = /\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b/g;

/** Shows long work on stderr: a line for each step that took its time; a running step spins where that is a terminal. */
export class Progress implements Disposable {
  readonly #cli: Cli;
  readonly #output: Output;
  readonly #live: boolean;
  #step: { readonly name: string; detail: string | undefined; readonly since: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(cli: Cli, output: Output) {
    this.#cli = cli;
    this.#output = output;
    this.#live = cli.stderr.isTTY === true && !output.json;
  }

  /** Takes a progress line of the bridge. */
  readonly line = (line: ProgressLine): void => {
    if (this.#step?.name === line.step) {
      this.#step.detail = line.detail ?? this.#step.detail;
      return;
    }
    this.begin(line.step, line.detail);
  };

  /** Ends the step before and begins the next. */
  begin(name: string, detail?: string): void {
    this.done();
    this.#step = { name, detail, since: performance.now() };
    if (!this.#live) return;
    this.#timer = setInterval(() => this.#spin(), FRAME_MS);
    this.#spin();
  }

  /** Ends the running step: it worked, or not. */
  done(failed = false): void {
    const step = this.#step;
    clearInterval(this.#timer);
    this.#step = undefined;
    if (step === undefined || this.#output.json) return;
    const took = performance.now() - step.since;
    this.#clear();
    if (took < WORTH_A_LINE_MS) return;
    const mark = failed ? this.#output.styleError("red", "✗") : this.#output.styleError("green", "✓");
    const time = this.#output.styleError("dim", elapsed(took));
    this.#cli.stderr.write(`${mark} ${this.#text(step)}  ${time}\n`);
  }

  [Symbol.dispose](): void {
    this.done(true);
  }

  #spin(): void {
    const step = this.#step;
    if (step === undefined) return;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const line = `${FRAMES[this.#frame] ?? ""} ${this.#text(step)}  ${elapsed(performance.now() - step.since)}`;
    this.#clear();
    this.#cli.stderr.write(line.slice(0, Math.max(20, (this.#cli.stderr.columns ?? 80) - 1)));
  }

  #text(step: { readonly name: string; readonly detail: string | undefined }): string {
    const text = step.detail === undefined ? step.name : `${step.name}: ${step.detail}`;
    return escapeLine(text.replaceAll(DIGEST, "$1…"));
  }

  #clear(): void {
    if (this.#live) this.#cli.stderr.write("\r\u001b[2K");
  }
}
