/** What becomes of a byte: text and sequences are kept, strings dropped; smaller numbers name the rule that hides it. */
export const MARK = { text: 0, sequence: 255, dropped: 254 } as const;

/** Most rules that a window can tell apart. */
export const MOST_RULES = 250;

const FIRST_BYTES = 4096;

/** The part of a stream that is not decided yet, with a mark for every byte. Positions count from the stream's begin. */
export class RedactionWindow {
  bytes: Buffer = Buffer.alloc(FIRST_BYTES);
  marks: Uint8Array = new Uint8Array(FIRST_BYTES);
  /** Position of the first byte. */
  base = 0;
  length = 0;
  readonly #names: readonly string[];
  /** Whether anything is to be hidden or dropped. */
  #dirty = false;
  /** Whether the last text that was taken was hidden: what follows of it needs no name again. */
  #hiding = false;
  /** Last text byte that was taken and shown; undefined behind a sequence. */
  #last: number | undefined;

  /** `names[mark - 1]` is shown in place of what a rule hides. */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Position behind the last byte. */
  get end(): number {
    return this.base + this.length;
  }

  append(chunk: Uint8Array): void {
    const length = this.length + chunk.length;
    if (length > this.bytes.length) this.#grow(length);
    this.bytes.set(chunk, this.length);
    this.marks.fill(MARK.text, this.length, length);
    this.length = length;
  }

  /** Marks one byte; what was taken already, or has a mark, stays as it is. */
  mark(position: number, mark: number): void {
    const at = position - this.base;
    if (at < 0 || at >= this.length || this.marks[at] !== MARK.text) return;
    this.marks[at] = mark;
    if (mark !== MARK.sequence) this.#dirty = true;
  }

  /** Marks a range; an end of a sequence inside of it is kept. */
  markRange(from: number, to: number, mark: number): void {
    for (let at = Math.max(from, this.base); at < to; at += 1) this.mark(at, mark);
  }

  /** A byte that turned out to be the begin of a string. */
  drop(position: number): void {
    const at = position - this.base;
    if (at < 0) return;
    this.marks[at] = MARK.dropped;
    this.#dirty = true;
  }

  /** Calls back for the text before `end`, backwards, until it answers false. Hidden text is text. */
  textBefore(end: number, each: (byte: number, position: number) => boolean): void {
    for (let at = end - this.base - 1; at >= 0; at -= 1) {
      if ((this.marks[at] ?? 0) >= MARK.dropped) continue;
      if (!each(this.bytes[at] ?? 0, at + this.base)) return;
    }
  }

  /** The byte just before a position; undefined when it is no text. */
  textAt(position: number): number | undefined {
    const at = position - this.base;
    if (at < 0) return this.#last;
    return (this.marks[at] ?? 0) >= MARK.dropped ? undefined : this.bytes[at];
  }

  /** Takes what is before `to`, redacted. The bytes are valid until something is appended. */
  take(to: number): Buffer {
    const count = to - this.base;
    const taken =
      this.#dirty || this.#hiding ? this.#redacted(count) : Buffer.from(this.bytes.subarray(0, count));
    const last = this.marks[count - 1] ?? MARK.sequence;
    this.#last = last >= MARK.dropped ? undefined : this.bytes[count - 1];
    this.bytes.copyWithin(0, count, this.length);
    this.marks.copyWithin(0, count, this.length);
    this.length -= count;
    this.base = to;
    if (this.length === 0) this.#dirty = false;
    return taken;
  }

  #redacted(count: number): Buffer {
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = 0; at < count; at += 1) {
      const mark = this.marks[at] ?? 0;
      if (mark === MARK.text) this.#hiding = false;
      if (mark === MARK.text || mark === MARK.sequence) continue;
      if (at > from) parts.push(this.bytes.subarray(from, at));
      from = at + 1;
      if (mark === MARK.dropped || this.#hiding) continue;
      this.#hiding = true;
      parts.push(Buffer.from(`[${this.#names[mark - 1] ?? "redacted"}]`));
    }
    if (count > from) parts.push(this.bytes.subarray(from, count));
    return Buffer.concat(parts);
  }

  #grow(length: number): void {
    const size = Math.max(length, 2 * this.bytes.length);
    const bytes = Buffer.alloc(size);
    const marks = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, this.length));
    marks.set(this.marks.subarray(0, this.length));
    this.bytes = bytes;
    this.marks = marks;
  }
}
