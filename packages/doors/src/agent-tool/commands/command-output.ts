/** Which of a program's two outputs a text came on; `mixed` where there are too many pieces to tell apart. */
export type OutputStream = "stdout" | "stderr" | "mixed";

/** A piece of a program's output, in order of arrival. */
export interface OutputPart {
  readonly stream: OutputStream;
  readonly text: string;
}

/** A part of what a program wrote. */
export interface OutputPage {
  readonly parts: readonly OutputPart[];
  /** Where the next page starts. */
  readonly next: number;
  /** Characters between the wanted place and this page that are not kept any more. */
  readonly lost: number;
}

/** Characters of a program's output that are kept; older ones are dropped and counted. */
export const KEPT_CHARACTERS = 524_288;
/** Characters that are kept of its start, whatever follows. */
const HEAD_CHARACTERS = 10_000;
const MOST_PIECES = 16_384;
const PIECE_CHARACTERS = 8192;
const MOST_PARTS = 200;

/** What a program wrote, as text, on both outputs in order of arrival; the start and the newest part are kept. */
export class CommandOutput {
  readonly #pieces: { stream: "stdout" | "stderr"; text: string }[] = [];
  readonly #head: { stream: "stdout" | "stderr"; text: string }[] = [];
  #headRoom = HEAD_CHARACTERS;
  /** Characters of {@link #pieces}. */
  #kept = 0;
  #total = 0;

  /** Characters that were written so far. */
  get total(): number {
    return this.#total;
  }

  /** Adds what came on one of the outputs. */
  add(stream: "stdout" | "stderr", text: string): void {
    if (text === "") return;
    this.#total += text.length;
    this.#kept += text.length;
    this.#keepHead(stream, text);
    const last = this.#pieces.at(-1);
    if (last?.stream === stream && last.text.length < PIECE_CHARACTERS) last.text += text;
    else this.#pieces.push({ stream, text });
    while (this.#pieces.length > 1 && (this.#kept > KEPT_CHARACTERS || this.#pieces.length > MOST_PIECES))
      this.#kept -= this.#pieces.shift()?.text.length ?? 0;
  }

  /** At most so many characters from a place on, or from the first that is still kept. */
  page(from: number, limit: number): OutputPage {
    const first = this.#total - this.#kept;
    const start = Math.min(Math.max(from, first), this.#total);
    return { ...cut(this.#pieces, start - first, limit, start), lost: start - Math.min(from, start) };
  }

  /** The start, which is always kept. */
  head(limit: number): OutputPage {
    return { ...cut(this.#head, 0, limit, 0), lost: 0 };
  }

  #keepHead(stream: "stdout" | "stderr", text: string): void {
    if (this.#headRoom === 0) return;
    const kept = text.slice(0, this.#headRoom);
    this.#headRoom -= kept.length;
    const last = this.#head.at(-1);
    if (last?.stream === stream) last.text += kept;
    else this.#head.push({ stream, text: kept });
  }
}

/** The text of parts, both outputs together. */
export function textOf(parts: readonly OutputPart[]): string {
  return parts.map(({ text }) => text).join("");
}

function cut(
  pieces: readonly OutputPart[],
  skip: number,
  limit: number,
  at: number,
): { parts: readonly OutputPart[]; next: number } {
  const parts: { stream: OutputStream; text: string }[] = [];
  let [before, room] = [skip, limit];
  for (const { stream, text } of pieces) {
    const part = whole(text.slice(before, before + room));
    before = Math.max(0, before - text.length);
    if (part === "") continue;
    room -= part.length;
    const last = parts.at(-1);
    if (last?.stream === stream) last.text += part;
    else parts.push({ stream, text: part });
    if (room <= 1) break;
  }
  const next = at + parts.reduce((sum, { text }) => sum + text.length, 0);
  return { parts: parts.length <= MOST_PARTS ? parts : [{ stream: "mixed", text: textOf(parts) }], next };
}

/** Without half a character at its end. */
function whole(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}
