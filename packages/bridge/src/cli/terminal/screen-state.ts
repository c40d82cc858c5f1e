import type { CsiSequence } from "./sequence-rules.ts";

/** Modes that are on in a fresh terminal. */
const ON_BY_DEFAULT: ReadonlySet<number> = new Set([7, 25]);
/** Modes whose default differs between terminals; they are left as they are. */
const LEFT_ALONE: ReadonlySet<number> = new Set([12, 1007]);
const REPORTING: readonly number[] = [9, 1000, 1002, 1003, 1004, 2004];
const MAX_KEYBOARD_LEVELS = 32;

/** Remembers what a program changed of the terminal, so that a program that was killed leaves nothing behind. */
export class ScreenState {
  readonly #changed = new Map<number, boolean>();
  readonly #marks = new Set<"cursor-style" | "keypad" | "margins" | "insert" | "charset" | "keys" | "link">();
  #touched = false;
  #keyboardLevels = 0;
  #keyboardSet = false;

  /** Whether the terminal may send something unasked: mouse, focus, or brackets around a paste. */
  get reports(): boolean {
    return REPORTING.some((mode) => this.#changed.get(mode) === true);
  }

  /** Notes a CSI sequence that went to the terminal. */
  csi(sequence: CsiSequence): void {
    this.#touched = true;
    const { prefix, params, intermediates, final } = sequence;
    if (prefix === "?" && (final === "h" || final === "l")) this.#switchModes(params, final === "h");
    else if (final === "u" && prefix !== "" && prefix !== "?") this.#keyboard(prefix, params);
    else if (prefix === ">" && final === "m") this.#marks.add("keys");
    else if (intermediates === " " && final === "q") this.#marks.add("cursor-style");
    else if (prefix === "" && final === "r") this.#marks.add("margins");
    else if (prefix === "" && params === "4" && final === "h") this.#marks.add("insert");
  }

  /** Notes an escape sequence that went to the terminal. */
  escape(intermediates: string, final: string): void {
    this.#touched = true;
    if (intermediates === "" && final === "=") this.#marks.add("keypad");
    else if (/^[()*+]$/.test(intermediates)) this.#marks.add("charset");
  }

  /** Notes that a link was opened or closed. */
  link(open: boolean): void {
    this.#touched = true;
    if (open) this.#marks.add("link");
    else this.#marks.delete("link");
  }

  /** What undoes it all: leaves the other screen, shows the cursor, stops reports, and so on; empty when nothing changed. */
  undo(): string {
    if (!this.#touched) return "";
    const links = this.#marks.has("link") ? "\u001b]8;;\u001b\\" : "";
    const modes = [...this.#changed].filter(([mode, on]) => on !== ON_BY_DEFAULT.has(mode));
    const screens = modes.map(([mode]) => `\u001b[?${mode}${ON_BY_DEFAULT.has(mode) ? "h" : "l"}`).join("");
    const levels = this.#keyboardLevels > 0 ? `\u001b[<${this.#keyboardLevels}u` : "";
    const keyboard = (this.#keyboardSet ? "\u001b[=0u" : "") + levels;
    return links + this.#undoMarks() + keyboard + screens + "\u001b[0m\u000f";
  }

  #undoMarks(): string {
    const undo: readonly [string, string][] = [
      ["keys", "\u001b[>4m"],
      ["cursor-style", "\u001b[0 q"],
      ["keypad", "\u001b>"],
      ["insert", "\u001b[4l"],
      ["charset", "\u001b(B\u001b)B"],
      ["margins", "\u001b7\u001b[r\u001b8"],
    ];
    const marks: ReadonlySet<string> = this.#marks;
    return undo.map(([mark, text]) => (marks.has(mark) ? text : "")).join("");
  }

  #switchModes(params: string, on: boolean): void {
    for (const mode of params.split(";").map(Number)) if (!LEFT_ALONE.has(mode)) this.#changed.set(mode, on);
  }

  #keyboard(prefix: string, params: string): void {
    const count = Math.max(1, Number(params.split(";")[0] ?? "1") || 1);
    if (prefix === ">") this.#keyboardLevels = Math.min(MAX_KEYBOARD_LEVELS, this.#keyboardLevels + 1);
    else if (prefix === "<") this.#keyboardLevels = Math.max(0, this.#keyboardLevels - count);
    else this.#keyboardSet = true;
  }
}
