import { gitNames, patchPath, stripped } from "./patch-path.ts";
import { badPatch, type FilePatch, type Hunk } from "./patch.ts";

const NULL = "/dev/null";
const MODE = /^(?:new file|deleted file|old|new) mode (\d{6})$/;
const KNOWN =
  /^(?:diff --git |index |similarity index |dissimilarity index |rename (?:from|to) |copy (?:from|to) |(?:new file|deleted file|old|new) mode |GIT binary patch|Binary files )/;

/** What a diff says of a file before its hunks: names, and git's extended headers. */
export class SectionHead {
  readonly #line: number;
  #names: readonly [string, string] | null = null;
  #from: string | null = null;
  #to: string | null = null;
  #created = false;
  #deleted = false;
  #executable: boolean | null = null;
  #empty = true;

  /** `line`: where it starts in the patch, for errors. */
  constructor(line: number) {
    this.#line = line;
  }

  /** Whether nothing was taken yet. */
  get empty(): boolean {
    return this.#empty;
  }

  /** Whether a line is one of git's headers. */
  takes(line: string): boolean {
    return KNOWN.test(line);
  }

  /** Takes one of git's headers; refuses what can't be done here. */
  take(line: string): void {
    this.#empty = false;
    if (line.startsWith("diff --git ")) this.#names = gitNames(line.slice("diff --git ".length).trimEnd());
    else if (line.startsWith("rename from ")) this.#from = this.#path(line.slice(12));
    else if (line.startsWith("rename to ")) this.#to = this.#path(line.slice(10));
    else if (line.startsWith("copy "))
      throw this.#bad("copies can't be patched", "Add the file with its content");
    else if (/^(?:GIT binary patch|Binary files )/.test(line))
      throw this.#bad("binary files can't be patched", "Write them with a program through run_command");
    else this.#mode(line.trimEnd());
  }

  /** Takes the pair of names. */
  names(old: string, next: string): void {
    this.#empty = false;
    const pair = stripped(this.#path(old.slice(4)), this.#path(next.slice(4)));
    if (this.#names === null || this.#from === null) this.#names = pair;
    if (pair[0] === NULL) this.#created = true;
    if (pair[1] === NULL) this.#deleted = true;
  }

  /** The whole of what happens to the file. */
  patch(hunks: readonly Hunk[]): FilePatch {
    const [old, next] = this.#names ?? [null, null];
    if (this.#created && this.#deleted) throw this.#bad("the file is both created and deleted");
    if (this.#created)
      return {
        kind: "add",
        path: this.#named(next),
        content: this.#content(hunks),
        executable: this.#executable ?? false,
      };
    if (this.#deleted) return { kind: "delete", path: this.#named(old), hunks };
    if ((this.#from === null) !== (this.#to === null))
      throw this.#bad("only one of rename from and rename to is there");
    const executable = this.#executable;
    if (this.#from !== null) return { kind: "update", path: this.#from, to: this.#to, hunks, executable };
    if (hunks.length === 0 && executable === null) throw this.#bad("the file has no hunk");
    return { kind: "update", path: this.#named(next), to: null, hunks, executable };
  }

  #mode(line: string): void {
    const mode = MODE.exec(line)?.[1];
    if (mode === undefined) return;
    if (!mode.startsWith("100"))
      throw this.#bad("only regular files can be patched", "Make links with run_command, e.g. ln -s");
    if (line.startsWith("new file")) this.#created = true;
    else if (line.startsWith("deleted file")) this.#deleted = true;
    if (/^new /.test(line)) this.#executable = /[1357]/.test(mode.slice(3));
  }

  #path(text: string): string {
    const path = patchPath(text);
    if (path === null) throw this.#bad(`the path ${JSON.stringify(text.slice(0, 80))} can't be read`);
    return path;
  }

  #named(path: string | null): string {
    if (path === null || path === "" || path === NULL) throw this.#bad("the file's path is missing");
    return path;
  }

  #content(hunks: readonly Hunk[]): string {
    const lines = hunks.flatMap((hunk) => hunk.lines);
    if (lines.some(({ kind }) => kind !== "+"))
      throw this.#bad('a new file has only lines that start with "+"');
    return lines.map(({ text, newline }) => (newline ? `${text}\n` : text)).join("");
  }

  #bad(why: string, hint?: string): Error {
    return badPatch(this.#line, why, hint);
  }
}
