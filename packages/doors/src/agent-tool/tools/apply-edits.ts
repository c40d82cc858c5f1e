import { DoorwardError } from "@doorward/contracts";
import { occurrences } from "./find-text.ts";
import { LineEndMap } from "./line-end-map.ts";
import { textMismatch } from "./text-mismatch.ts";

/** One replacement of text. */
export interface Edit {
  readonly old_text: string;
  readonly new_text: string;
  readonly replace_all?: boolean | undefined;
}

/** A text after its edits. */
export interface Edited {
  readonly text: string;
  readonly replacements: number;
}

/** Matches are counted up to this, and replaced up to this. */
const MATCHES = 100_000;
/** Most characters that all edits of one call look through, together. */
const SEARCHED_CHARS = 67_108_864;
/** Line numbers of matches that an error names. */
const NAMED_MATCHES = 10;

/**
 * Makes edits one after another, each on what the former left. `\n` of an edit stands for `\r\n` too, and a replacement
 * takes the line ends of where it stands. TEXT_MISMATCH for an edit whose text is not there, or more than once.
 */
export function applyEdits(path: string, text: string, edits: readonly Edit[]): Edited {
  let at: Edited = { text, replacements: 0 };
  let searched = 0;
  for (const [index, edit] of edits.entries()) {
    searched += at.text.length;
    if (searched > SEARCHED_CHARS) throw tooMuch(path, index);
    const name = edits.length === 1 ? "the edit" : `edit ${index + 1} of ${edits.length}`;
    const next = applyEdit(`Cannot make ${name} of "${path}"`, at.text, edit);
    at = { text: next.text, replacements: at.replacements + next.replacements };
  }
  return at;
}

function applyEdit(cannot: string, text: string, edit: Edit): Edited {
  if (edit.old_text === "") throw refused(cannot, "old_text is empty", WRITE_INSTEAD);
  if (edit.old_text === edit.new_text) throw refused(cannot, "old_text and new_text are the same", SAY_NEW);
  const map = new LineEndMap(text);
  const wanted = edit.old_text.replaceAll("\r\n", "\n");
  const found = matches(map.text, wanted, edit.replace_all === true);
  if (found.length === 0) throw notFound(cannot, map.text, wanted);
  if (found.length > MATCHES) throw refused(cannot, `old_text is found more than ${MATCHES} times`, LONGER);
  if (found.length > 1 && edit.replace_all !== true) throw ambiguous(cannot, map.text, found);
  return { text: replaced(map, found, wanted.length, edit.new_text), replacements: found.length };
}

/** Where a text stands in another: without overlap to replace all, with overlap to find out whether it is unique. */
function matches(text: string, wanted: string, all: boolean): number[] {
  const found: number[] = [];
  for (const at of occurrences(text, wanted, all ? wanted.length : 1)) {
    found.push(at);
    if (found.length > (all ? MATCHES : NAMED_MATCHES)) break;
  }
  return found;
}

function replaced(map: LineEndMap, found: readonly number[], length: number, newText: string): string {
  const parts: string[] = [];
  let done = 0;
  for (const at of found) {
    const start = map.original(at);
    const end = map.lineEndNear(at);
    parts.push(map.source.slice(done, start), end === "\n" ? newText : newText.replace(/\r?\n/g, end));
    done = map.original(at + length);
  }
  parts.push(map.source.slice(done));
  return parts.join("");
}

function notFound(cannot: string, text: string, wanted: string): DoorwardError {
  return textMismatch(`${cannot}: old_text is not found`, text.split("\n"), wanted.split("\n"));
}

function ambiguous(cannot: string, text: string, found: readonly number[]): DoorwardError {
  const lines = found.slice(0, NAMED_MATCHES).map((at) => lineAt(text, at));
  const more = found.length > NAMED_MATCHES;
  return new DoorwardError({
    code: "TEXT_MISMATCH",
    message: `${cannot}: old_text is found ${more ? "more than " : ""}${Math.min(found.length, NAMED_MATCHES)} times, at lines ${lines.join(", ")}`,
    hint: "Nothing was changed. Add lines around it to old_text until it is unique, or set replace_all to true",
  });
}

function tooMuch(path: string, made: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot edit "${path}": it is too large for so many edits at once`,
    hint:
      made === 0
        ? "Change it with a program through run_command"
        : `Send at most ${made} of the edits a call`,
  });
}

function lineAt(text: string, at: number): number {
  let line = 1;
  for (let next = text.indexOf("\n"); next !== -1 && next < at; next = text.indexOf("\n", next + 1))
    line += 1;
  return line;
}

const WRITE_INSTEAD = "Give the text to replace; to make or fill a file call write_file";
const SAY_NEW = "Give the new text in new_text";
const LONGER = "Nothing was changed. Give a longer old_text";

function refused(cannot: string, why: string, hint: string): DoorwardError {
  return new DoorwardError({ code: "INPUT_INVALID", message: `${cannot}: ${why}`, hint });
}
