import type { TerminalDoorSpec } from "@doorward/contracts";
import type { DoorSession, TranscriptFile } from "../door.ts";
import { Redactor, compileRules } from "./redactor.ts";
import { TranscriptWriter } from "./transcript.ts";

/** Output that came within so many milliseconds is one event. */
const JOIN_MS = 4;
/** Typing is marked again after so many milliseconds without any. */
const PAUSE_MS = 1000;

/** What of a terminal is known when its recording begins. */
export interface RecordedTerminal {
  readonly id: string;
  readonly cols: number;
  readonly rows: number;
  /** Whether the output begins at the terminal's own begin. */
  readonly whole: boolean;
}

type Pending =
  | { readonly what: "output"; readonly bytes: Buffer; readonly at: number }
  | { readonly what: "torn"; readonly at: number }
  | { readonly what: "cols"; readonly cols: number }
  | { readonly what: "event"; readonly at: number; readonly write: (writer: TranscriptWriter) => void };

/** Output up to a position in the stream, or what happened there; written once everything before it is decided. */
interface Piece {
  end: number;
  readonly at: number;
  readonly write: ((writer: TranscriptWriter) => void) | undefined;
}

/**
 * Records what one session is shown of a terminal. It works behind the session: bytes are only queued while they are
 * forwarded, and redacted and written in the same turn of the event loop, with the time at which they came.
 */
export class TerminalRecorder implements AsyncDisposable {
  readonly #file: TranscriptFile;
  readonly #redactor: Redactor;
  readonly #writer: TranscriptWriter;
  readonly #who: string;
  #pending: Pending[] = [];
  #pieces: Piece[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #typedAt = Number.NEGATIVE_INFINITY;
  #exitCode: number | null = null;
  #closing: Promise<void> | undefined;

  constructor(session: DoorSession, terminal: RecordedTerminal, file: TranscriptFile) {
    const { cols, rows } = terminal;
    this.#file = file;
    this.#who = `${session.kind} ${session.subject}`;
    this.#redactor = new Redactor(rulesOf(session.spec.redaction), cols);
    if (!terminal.whole) this.#redactor.tear();
    const title = `${session.machine.name}: ${this.#who}, session ${session.id}, terminal ${terminal.id}`;
    const header = { cols, rows, startedAt: Date.now() / 1000, title, tags: ["doorward", session.kind] };
    this.#writer = new TranscriptWriter(header, session.spec.transcript.maxBytes, (line) => file.write(line));
  }

  /** Whether nothing more is recorded: the byte cap was reached, or the disk takes no more. */
  get stopped(): boolean {
    return this.#writer.full || this.#file.stopped;
  }

  output(bytes: Buffer): void {
    this.#queue({ what: "output", bytes, at: performance.now() });
  }

  /** Output was lost here. */
  gap(bytes: number): void {
    this.#queue({ what: "torn", at: performance.now() });
    this.marker(`${String(bytes)} bytes of output are missing`);
  }

  resize(cols: number, rows: number): void {
    this.#queue({ what: "cols", cols });
    this.#event((writer, at) => writer.resize(cols, rows, at));
  }

  marker(label: string): void {
    this.#event((writer, at) => writer.marker(label, at));
  }

  /** Notes that this session types; what it types is never recorded, because nobody knows whether it is a password. */
  typed(): void {
    const now = performance.now();
    if (now - this.#typedAt > PAUSE_MS) this.marker(`${this.#who} types`);
    this.#typedAt = now;
  }

  exited(code: number | null): void {
    this.#exitCode = code;
  }

  /** Writes everything that is still held, and closes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearImmediate(this.#scheduled);
    this.#work();
    this.#redactor.finish();
    this.#write();
    if (!this.#file.stopped) this.#writer.end(this.#exitCode);
    await this.#file[Symbol.asyncDispose]();
  }

  #event(write: (writer: TranscriptWriter, at: number) => void): void {
    const at = performance.now();
    this.#queue({ what: "event", at, write: (writer) => write(writer, at) });
  }

  #queue(pending: Pending): void {
    if (this.stopped || this.#closing !== undefined) return;
    this.#pending.push(pending);
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#work();
    });
  }

  #work(): void {
    for (const pending of this.#pending.splice(0)) {
      if (this.stopped) return;
      if (pending.what === "output") this.#redact(pending.bytes, pending.at);
      else if (pending.what === "torn") this.#redactor.tear();
      else if (pending.what === "cols") this.#redactor.cols = pending.cols;
      else this.#pieces.push({ end: this.#redactor.end, at: pending.at, write: pending.write });
      this.#write();
    }
  }

  #redact(bytes: Buffer, at: number): void {
    this.#redactor.push(bytes);
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.write === undefined && at - last.at < JOIN_MS)
      last.end = this.#redactor.end;
    else this.#pieces.push({ end: this.#redactor.end, at, write: undefined });
  }

  /** Writes what is decided; a piece of which only a part is stays for its rest. */
  #write(): void {
    const decided = this.#redactor.decided;
    let done = 0;
    for (const { end, at, write } of this.#pieces) {
      const to = Math.min(end, decided);
      if (to > this.#redactor.taken) this.#writer.output(this.#redactor.take(to), at);
      if (to < end) break;
      write?.(this.#writer);
      done += 1;
    }
    this.#pieces.splice(0, done);
  }
}

const builtIn = compileRules([]);

function rulesOf({ patterns }: TerminalDoorSpec["redaction"]) {
  return patterns.length === 0 ? builtIn : compileRules(patterns);
}
