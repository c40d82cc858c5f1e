import { NUMBERED_HUNK, hunkNumber } from "./hunk-header.ts";
import { badPatch, type FilePatch, type Hunk, type HunkLine } from "./patch.ts";

const BEGIN = "*** Begin Patch";
const END = "*** End Patch";
const ADD = "*** Add File: ";
const UPDATE = "*** Update File: ";
const DELETE = "*** Delete File: ";
const MOVE = "*** Move to: ";
const END_OF_FILE = "*** End of File";

/** Whether a patch is in the envelope that Codex and its models write. */
export function isEnvelope(lines: readonly string[]): boolean {
  return lines[0]?.trim() === BEGIN;
}

/** Reads a patch in the envelope; refuses one that is cut off, or has a line that is none of its forms. */
export function parseEnvelope(lines: readonly string[]): FilePatch[] {
  return new EnvelopeReader(lines).read();
}

class EnvelopeReader {
  readonly #lines: readonly string[];
  #at = 1;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  read(): FilePatch[] {
    const patches: FilePatch[] = [];
    while (this.#line.trimEnd() !== END) {
      if (this.#at >= this.#lines.length) throw badPatch(this.#at, `it is cut off before "${END}"`);
      if (this.#line.trim() === "") this.#at += 1;
      else patches.push(this.#file());
    }
    const rest = this.#lines.slice(this.#at + 1).findIndex((line) => line.trim() !== "");
    if (rest !== -1)
      throw badPatch(this.#at + rest + 2, `something follows "${END}"`, "Send one patch a call");
    return patches;
  }

  get #line(): string {
    return this.#lines[this.#at] ?? "";
  }

  /** Whether the present line belongs to a file's body. */
  get #inBody(): boolean {
    return this.#at < this.#lines.length && !this.#line.startsWith("*** ");
  }

  #file(): FilePatch {
    const line = this.#line;
    if (line.startsWith(ADD)) return this.#add(this.#pathAfter(ADD));
    if (line.startsWith(DELETE)) return { kind: "delete", path: this.#pathAfter(DELETE), hunks: [] };
    if (line.startsWith(UPDATE)) return this.#update(this.#pathAfter(UPDATE));
    const forms = `"${ADD.trim()}", "${UPDATE.trim()}", "${DELETE.trim()}" or "${END}"`;
    throw badPatch(this.#at + 1, `expected ${forms}, found "${line.slice(0, 80)}"`);
  }

  #pathAfter(prefix: string): string {
    const path = this.#line.slice(prefix.length).trim();
    if (path === "") throw badPatch(this.#at + 1, "the path is missing");
    this.#at += 1;
    return path;
  }

  #add(path: string): FilePatch {
    const content: string[] = [];
    for (; this.#inBody; this.#at += 1) {
      if (this.#line.startsWith("+")) content.push(`${this.#line.slice(1)}\n`);
      else if (this.#line.trim() !== "")
        throw badPatch(this.#at + 1, 'each line of an added file starts with "+"');
    }
    return { kind: "add", path, content: content.join(""), executable: false };
  }

  #update(path: string): FilePatch {
    const from = this.#at;
    const to = this.#line.startsWith(MOVE) ? this.#pathAfter(MOVE) : null;
    const hunks: Hunk[] = [];
    while (this.#inBody) {
      const hunk = this.#hunk(hunks.length === 0);
      if (hunk !== null) hunks.push(hunk);
    }
    if (hunks.length === 0 && to === null) throw badPatch(from, `the update of "${path}" has no hunk`);
    return { kind: "update", path, to, hunks, executable: null };
  }

  /** The next hunk; null where only blank lines were left. The first one may do without `@@`. */
  #hunk(first: boolean): Hunk | null {
    const start = this.#at;
    const title = this.#line;
    const after: string[] = [];
    let at: number | null = null;
    for (; this.#line.startsWith("@@"); this.#at += 1) {
      at = hunkNumber(this.#line);
      const text = NUMBERED_HUNK.test(this.#line) ? "" : headerText(this.#line);
      if (text !== "") after.push(text);
    }
    if (this.#at === start && !first && this.#line.trim() !== "")
      throw badPatch(start + 1, 'expected "@@", or a line starting with " ", "-" or "+"');
    const lines = this.#body();
    const atEnd = this.#line.trimEnd() === END_OF_FILE;
    if (atEnd) this.#at += 1;
    if (lines.length > 0) return { title: title.trimEnd(), at, after, lines, atEnd };
    if (title.startsWith("@@")) throw badPatch(start + 1, "the hunk has no lines");
    if (this.#at === start)
      throw badPatch(start + 1, 'expected "@@", or a line starting with " ", "-" or "+"');
    return null;
  }

  #body(): HunkLine[] {
    const lines: HunkLine[] = [];
    for (; this.#inBody && !this.#line.startsWith("@@"); this.#at += 1) {
      const read = hunkLine(this.#line);
      if (read === null) {
        if (this.#line.startsWith("\\ ")) continue;
        throw badPatch(this.#at + 1, 'each line of a hunk starts with " ", "-" or "+"');
      }
      lines.push(read);
    }
    return withoutBlankEnd(lines);
  }
}

/** A line of a hunk; an empty one is empty context, as editors leave it. Null for what is none. */
export function hunkLine(line: string): HunkLine | null {
  if (line === "" || line === "\r") return { kind: " ", text: line, newline: true };
  const [kind] = line;
  if (kind !== " " && kind !== "-" && kind !== "+") return null;
  return { kind, text: line.slice(1), newline: true };
}

/** Blank lines after a hunk separate it from what follows; they are no context. */
export function withoutBlankEnd(lines: readonly HunkLine[]): HunkLine[] {
  const last = lines.findLastIndex(({ kind, text }) => kind !== " " || text.trim() !== "");
  return lines.slice(0, last + 1);
}

/** What a header says beside its marks: a line of the file that stands before the hunk. */
export function headerText(line: string): string {
  const whole = line.slice(2).trim();
  const text = whole.endsWith("@@") ? whole.slice(0, -2).trimEnd() : whole;
  return text === "..." ? "" : text;
}
