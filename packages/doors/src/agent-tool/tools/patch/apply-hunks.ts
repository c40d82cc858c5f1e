import { DoorwardError } from "@doorward/contracts";
import { textMismatch } from "../text-mismatch.ts";
import { linesOf, type Hunk, type HunkLine } from "./patch.ts";
import { Effort, placeHunk } from "./place-hunk.ts";

/** A text after a patch, and how many lines came and went. */
export interface Patched {
  readonly text: string;
  readonly added: number;
  readonly removed: number;
}

/**
 * Applies hunks in order. A hunk fits where its old lines stand, white space at line ends aside; its line number, where it
 * has one, is tried first. TEXT_MISMATCH for a hunk that fits nowhere, or in several places.
 */
export function applyHunks(path: string, text: string, hunks: readonly Hunk[]): Patched {
  const file = splitLines(text);
  const parts: string[][] = [];
  const effort = new Effort();
  let { newline } = file;
  let done = 0;
  let drift = 0;
  for (const [index, hunk] of hunks.entries()) {
    const place = placeHunk(file.lines, hunk, { from: done, drift, effort });
    if (place.kind !== "found") throw misfit(path, { hunk, index, of: hunks.length }, place, file.lines);
    const old = linesOf(hunk, "old");
    const taken = file.lines.slice(place.at, place.at + old.length);
    parts.push(file.lines.slice(done, place.at), replacement(hunk, taken, file.crlf));
    done = place.at + old.length;
    drift = place.drift;
    if (done === file.lines.length) newline = endsWithNewline(hunk, newline, file.lines.length === 0);
  }
  parts.push(file.lines.slice(done));
  const lines = parts.flat();
  return {
    text: lines.length === 0 ? "" : lines.join("\n") + (newline ? "\n" : ""),
    added: count(hunks, "+"),
    removed: count(hunks, "-"),
  };
}

interface SplitFile {
  /** Without their line feeds; a carriage return stays. */
  readonly lines: readonly string[];
  /** Whether the last line has one. */
  readonly newline: boolean;
  /** Whether all lines end in CRLF. */
  readonly crlf: boolean;
}

function splitLines(text: string): SplitFile {
  if (text === "") return { lines: [], newline: true, crlf: false };
  const lines = text.split("\n");
  const newline = lines.at(-1) === "";
  if (newline) lines.pop();
  const ended = newline ? lines : lines.slice(0, -1);
  return { lines, newline, crlf: ended.length > 0 && ended.every((line) => line.endsWith("\r")) };
}

/** What stands in a hunk's place afterwards: context as the file has it, new lines with the line ends of what is around. */
function replacement(hunk: Hunk, taken: readonly string[], crlf: boolean): string[] {
  const old = linesOf(hunk, "old");
  const missing = old.some(({ text }, index) => !text.endsWith("\r") && (taken[index] ?? "").endsWith("\r"));
  const extra = old.some(({ text }, index) => text.endsWith("\r") && !(taken[index] ?? "\r").endsWith("\r"));
  const add = missing || (old.length === 0 && hunk.at === null && crlf);
  let at = 0;
  return hunk.lines.flatMap(({ kind, text }) => {
    if (kind !== "+") at += 1;
    if (kind === "-") return [];
    if (kind === " ") return [taken[at - 1] ?? ""];
    if (add && !text.endsWith("\r")) return [`${text}\r`];
    return [extra ? text.replace(/\r$/, "") : text];
  });
}

/** Whether the file ends in a newline after a hunk at its end; as before where the patch does not say. */
function endsWithNewline(hunk: Hunk, before: boolean, wasEmpty: boolean): boolean {
  const unfinished = (lines: readonly HunkLine[]): boolean => lines.at(-1)?.newline === false;
  if (unfinished(linesOf(hunk, "new"))) return false;
  return unfinished(linesOf(hunk, "old")) || wasEmpty || before;
}

function count(hunks: readonly Hunk[], kind: HunkLine["kind"]): number {
  return hunks.reduce((sum, { lines }) => sum + lines.filter((line) => line.kind === kind).length, 0);
}

function misfit(
  path: string,
  { hunk, index, of }: { readonly hunk: Hunk; readonly index: number; readonly of: number },
  place: Exclude<ReturnType<typeof placeHunk>, { readonly kind: "found" }>,
  lines: readonly string[],
): DoorwardError {
  const cannot = `Cannot patch "${path}": hunk ${index + 1} of ${of} (${hunk.title.slice(0, 120)})`;
  if (place.kind === "absent")
    return textMismatch(`${cannot} does not fit: ${place.why}`, lines, place.wanted);
  return new DoorwardError({
    code: "TEXT_MISMATCH",
    message: `${cannot} fits in several places: at lines ${place.lines.join(", ")}`,
    hint: 'Nothing was changed. Give more lines around it, or name a line before it after "@@", e.g. "@@ def name():"',
  });
}
