/** What of a text is taken. */
export interface WindowLimits {
  /** First line, from 1. */
  readonly from: number;
  readonly lines: number;
  /** Bytes of all taken lines together, in UTF-8. */
  readonly bytes: number;
  /** Characters of one line; the rest of it is dropped. */
  readonly lineChars: number;
}

/** Lines `from` and following of a text that arrives in parts; it holds no more than what it takes. */
export class LineWindow {
  readonly #limits: WindowLimits;
  readonly #lines: string[] = [];
  readonly #cut: number[] = [];
  #bytes = 0;
  #number = 1;
  #line = "";
  #length = 0;
  #full = false;
  #open = false;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  /** Whether lines follow that were not taken. */
  get full(): boolean {
    return this.#full;
  }

  /** Taken lines without their line feeds; a carriage return stays. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Numbers of taken lines that are longer than what was taken of them. */
  get cut(): readonly number[] {
    return this.#cut;
  }

  /** Lines so far; a last one without a line feed counts. */
  get total(): number {
    return this.#number - 1 + (this.#open ? 1 : 0);
  }

  /** Takes the next part. */
  push(text: string): void {
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      this.#grow(text, start, end);
      this.#endLine();
      start = end + 1;
    }
    if (start < text.length) this.#grow(text, start, text.length);
  }

  /** Takes what the last line has without a line feed; answers whether there was one. */
  end(): boolean {
    const unfinished = this.#open;
    if (unfinished) this.#endLine();
    return unfinished;
  }

  #grow(text: string, start: number, end: number): void {
    this.#open = true;
    this.#length += end - start;
    if (this.#number < this.#limits.from || this.#full) return;
    const room = this.#limits.lineChars - this.#line.length;
    if (room > 0) this.#line += text.slice(start, Math.min(end, start + room));
  }

  #endLine(): void {
    if (this.#number >= this.#limits.from && !this.#full) this.#take();
    this.#number += 1;
    this.#line = "";
    this.#length = 0;
    this.#open = false;
  }

  #take(): void {
    const cut = this.#length > this.#limits.lineChars;
    const line = cut ? `${this.#line}… [cut: the line has ${this.#length} characters]` : this.#line;
    const bytes = Buffer.byteLength(line) + 1;
    const over = this.#lines.length > 0 && this.#bytes + bytes > this.#limits.bytes;
    if (this.#lines.length >= this.#limits.lines || over) {
      this.#full = true;
      return;
    }
    if (cut) this.#cut.push(this.#number);
    this.#lines.push(line);
    this.#bytes += bytes;
  }
}

/** Lines with their numbers in front, as `cat -n` prints them. */
export function numbered(lines: readonly string[], from: number): string {
  return lines
    .map((line, index) => `${String(from + index).padStart(6)}\t${line.replace(/\r$/, "")}`)
    .join("\n");
}
