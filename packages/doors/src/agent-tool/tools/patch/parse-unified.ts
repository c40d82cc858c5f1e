import { hunkCounts, hunkNumber } from "./hunk-header.ts";
import { headerText, hunkLine, withoutBlankEnd } from "./parse-envelope.ts";
import { badPatch, type FilePatch, type Hunk, type HunkLine } from "./patch.ts";
import { SectionHead } from "./section-head.ts";

/**
 * Reads a unified diff with or without git's headers. Written here because models' diffs need what parsers of well-formed
 * ones lack: hunks that are found by their lines, strictness about counts, and errors that say what to send instead.
 */
export function parseUnified(lines: readonly string[]): FilePatch[] {
  return new UnifiedReader(lines).read();
}

class UnifiedReader {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  read(): FilePatch[] {
    const patches: FilePatch[] = [];
    while (this.#at < this.#lines.length) {
      if (this.#startsFile()) patches.push(this.#file());
      else this.#skip(patches.length > 0);
    }
    return patches;
  }

  get #line(): string {
    return this.#lines[this.#at] ?? "";
  }

  /** Whether the present line begins another file: git's header, or the pair of names. */
  #startsFile(): boolean {
    return this.#line.startsWith("diff --git ") || this.#startsNames();
  }

  #startsNames(): boolean {
    return this.#line.startsWith("--- ") && (this.#lines[this.#at + 1] ?? "").startsWith("+++ ");
  }

  /** Passes over text around diffs (a commit's message, `Index:`), but over nothing that may be a part of one. */
  #skip(after: boolean): void {
    const line = this.#line;
    if (line.startsWith("@@"))
      throw badPatch(this.#at + 1, 'a hunk without "--- old" and "+++ new" lines before it');
    const signature = line.trimEnd() === "--";
    const content = after && /^[ +\-\\]/.test(line) && line.trim() !== "" && !signature;
    if (content) throw badPatch(this.#at + 1, "more lines follow than the hunk's header says", RECOUNT);
    if (signature)
      while (this.#at + 1 < this.#lines.length && !/^(?:From |diff )/.test(this.#lines[this.#at + 1] ?? ""))
        this.#at += 1;
    this.#at += 1;
  }

  #file(): FilePatch {
    const head = new SectionHead(this.#at + 1);
    while (this.#line.startsWith("diff --git ") ? head.empty : head.takes(this.#line)) {
      if (this.#at >= this.#lines.length) break;
      head.take(this.#line);
      this.#at += 1;
      if (this.#startsNames()) break;
    }
    if (this.#startsNames()) {
      head.names(this.#line, this.#lines[this.#at + 1] ?? "");
      this.#at += 2;
    }
    const hunks: Hunk[] = [];
    while (this.#line.startsWith("@@")) hunks.push(this.#hunk());
    return head.patch(hunks);
  }

  #hunk(): Hunk {
    const title = this.#line.trimEnd();
    const start = this.#at;
    this.#at += 1;
    const counts = hunkCounts(title);
    if (counts === null && title.startsWith("@@ -"))
      throw badPatch(start + 1, `the hunk header "${title.slice(0, 80)}" is not understood`, RECOUNT);
    const lines = counts === null ? this.#uncounted() : this.#counted(counts, start);
    if (lines.length === 0) throw badPatch(start + 1, "the hunk has no lines");
    const text = counts === null ? headerText(title) : "";
    return { title, at: hunkNumber(title), after: text === "" ? [] : [text], lines, atEnd: false };
  }

  #counted(counts: { readonly old: number; readonly new: number }, start: number): HunkLine[] {
    const lines: HunkLine[] = [];
    let { old: before, new: after } = counts;
    while (before > 0 || after > 0) {
      const line = this.#at < this.#lines.length ? hunkLine(this.#line) : null;
      if (line === null) throw miscounted(start + 1, lines);
      if (line.kind !== "+") before -= 1;
      if (line.kind !== "-") after -= 1;
      if (before < 0 || after < 0) throw miscounted(start + 1, lines);
      this.#at += 1;
      lines.push(this.#marked(line));
    }
    return lines;
  }

  #uncounted(): HunkLine[] {
    const lines: HunkLine[] = [];
    while (this.#at < this.#lines.length && !this.#startsFile() && !this.#line.startsWith("@@")) {
      const line = hunkLine(this.#line);
      if (line === null) throw badPatch(this.#at + 1, 'each line of a hunk starts with " ", "-" or "+"');
      this.#at += 1;
      lines.push(this.#marked(line));
    }
    return withoutBlankEnd(lines);
  }

  /** Takes the mark that says that the file ends without a newline after this line. */
  #marked(line: HunkLine): HunkLine {
    if (!this.#line.startsWith("\\ ")) return line;
    this.#at += 1;
    return { ...line, newline: false };
  }
}

const RECOUNT =
  'Correct the numbers in its header, or write "@@" alone as the header: the hunk is then found by its lines';

function miscounted(line: number, lines: readonly HunkLine[]): Error {
  const before = lines.filter(({ kind }) => kind !== "+").length;
  const after = lines.filter(({ kind }) => kind !== "-").length;
  const why = `the hunk's header does not fit its lines: it was read up to ${before} old and ${after} new ones`;
  return badPatch(line, why, RECOUNT);
}
