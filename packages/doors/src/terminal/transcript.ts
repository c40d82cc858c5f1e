import { StringDecoder } from "node:string_decoder";

/** What a transcript begins with. */
export interface TranscriptHeader {
  readonly cols: number;
  readonly rows: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly title?: string;
  readonly tags?: readonly string[];
}

/** Takes the lines of a transcript; each ends with a line break. */
export type TranscriptSink = (line: string) => void;

/** Room that is kept for the mark that says that the rest was cut. */
const MARK_BYTES = 256;

/**
 * Writes asciicast v3: a header line, then one `[interval, code, data]` line per event, intervals in seconds since the event
 * before. A character whose bytes are split over two chunks is written whole. At `maxBytes` it stops with a mark.
 */
export class TranscriptWriter {
  readonly #sink: TranscriptSink;
  readonly #maxBytes: number;
  readonly #now: () => number;
  readonly #output = new StringDecoder("utf8");
  #last: number;
  #bytes = 0;
  #full = false;

  constructor(
    header: TranscriptHeader,
    maxBytes: number,
    sink: TranscriptSink,
    now = () => performance.now(),
  ) {
    if (maxBytes < 4 * MARK_BYTES)
      throw new RangeError(`Cannot write transcript: ${String(maxBytes)} bytes are too few`);
    this.#sink = sink;
    this.#maxBytes = maxBytes;
    this.#now = now;
    this.#last = now();
    this.#line({
      version: 3,
      term: { cols: header.cols, rows: header.rows, type: "xterm-256color" },
      timestamp: Math.floor(header.startedAt),
      ...(header.title === undefined ? {} : { title: header.title.slice(0, 200) }),
      ...(header.tags === undefined ? {} : { tags: header.tags }),
    });
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the byte cap cut the transcript. */
  get full(): boolean {
    return this.#full;
  }

  /** What the terminal printed; `at` is when, by the writer's clock. */
  output(bytes: Buffer, at?: number): void {
    this.#event("o", this.#output.write(bytes), at);
  }

  resize(cols: number, rows: number, at?: number): void {
    this.#event("r", `${String(cols)}x${String(rows)}`, at);
  }

  marker(label: string, at?: number): void {
    this.#event("m", label.slice(0, 200), at);
  }

  /** Ends the transcript; half characters that never became whole are written as U+FFFD. */
  end(exitCode: number | null, at?: number): void {
    this.#event("o", this.#output.end(), at);
    if (exitCode !== null) this.#event("x", String(exitCode), at);
    this.#full = true;
  }

  #event(code: string, data: string, at = this.#now()): void {
    if (this.#full || data === "") return;
    // rounded against what was written, so that the roundings don't add up
    const milliseconds = Math.max(0, Math.round(at - this.#last));
    this.#last += milliseconds;
    this.#line([milliseconds / 1000, code, data]);
  }

  #line(line: unknown): void {
    const text = `${JSON.stringify(line)}\n`;
    const length = Buffer.byteLength(text);
    if (this.#bytes + length > this.#maxBytes - MARK_BYTES) {
      this.#cut();
      return;
    }
    this.#bytes += length;
    this.#sink(text);
  }

  #cut(): void {
    this.#full = true;
    const mark = `${JSON.stringify([0, "m", `transcript cut at ${String(this.#maxBytes)} bytes`])}\n`;
    this.#bytes += Buffer.byteLength(mark);
    this.#sink(mark);
  }
}
