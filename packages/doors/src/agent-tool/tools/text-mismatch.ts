import { DoorwardError } from "@doorward/contracts";

/** Most lines of the wanted text that are compared. */
const COMPARED_LINES = 20;
/** Most lines of the file that are shown. */
const SHOWN_LINES = 12;
/** Longest part of a line that is compared and shown. */
const LINE_CHARS = 200;
/** Files with more lines are not looked through for something alike. */
const SEARCHED_LINES = 20_000;
const NUMBER_LIKE = /^\s*\d+\t/;

/** TEXT_MISMATCH with the lines of the file that come nearest to what was to be replaced. */
export function textMismatch(
  what: string,
  fileLines: readonly string[],
  wanted: readonly string[],
): DoorwardError {
  const hints = [
    nearest(fileLines, wanted),
    "Nothing was changed. Read the file again and send its text exactly",
  ];
  if (wanted.length > 0 && wanted.every((line) => NUMBER_LIKE.test(line)))
    hints.unshift("Leave out the line numbers and tabs that read_file puts in front of lines");
  return new DoorwardError({
    code: "TEXT_MISMATCH",
    message: what,
    hint: hints.filter((hint) => hint !== null).join("\n"),
  });
}

function nearest(fileLines: readonly string[], wanted: readonly string[]): string | null {
  if (fileLines.length > SEARCHED_LINES) return null;
  const compared = wanted.slice(0, COMPARED_LINES).map(squeezed);
  const best = bestStart(fileLines.map(squeezed), compared);
  if (best === null) return null;
  const end = Math.min(fileLines.length, best.at + Math.min(SHOWN_LINES, Math.max(1, compared.length)));
  const shown = fileLines
    .slice(best.at, end)
    .map((line, index) => `${String(best.at + index + 1).padStart(6)}\t${line.slice(0, LINE_CHARS)}`);
  const why = best.whole ? "The same lines with other white space stand" : "The nearest lines stand";
  return `${why} at line ${best.at + 1} of the file:\n${shown.join("\n")}`;
}

/** A line without its white space, which models get wrong most often. */
function squeezed(line: string): string {
  return line.slice(0, LINE_CHARS).replace(/\s+/g, "");
}

function bestStart(
  lines: readonly string[],
  wanted: readonly string[],
): { readonly at: number; readonly whole: boolean } | null {
  const anchors = wanted.flatMap((line, index) => (line.length > 0 ? [{ line, index }] : []));
  let best: { at: number; score: number } | null = null;
  for (let at = 0; at < lines.length && anchors.length > 0; at += 1) {
    let score = 0;
    for (const { line, index } of anchors) score += likeness(lines[at + index] ?? "", line);
    if (score > (best?.score ?? 0.4)) best = { at, score };
  }
  return best === null ? null : { at: best.at, whole: best.score >= anchors.length };
}

/** 1 for the same, else the part that both begin and end with, so that a changed word in a line still scores. */
function likeness(one: string, other: string): number {
  if (one === other) return 1;
  const most = Math.max(one.length, other.length);
  const least = Math.min(one.length, other.length);
  let head = 0;
  while (head < least && one[head] === other[head]) head += 1;
  let tail = 0;
  while (tail < least - head && one.at(-1 - tail) === other.at(-1 - tail)) tail += 1;
  const share = (head + tail) / most;
  return share < 0.4 ? 0 : share * 0.9;
}
