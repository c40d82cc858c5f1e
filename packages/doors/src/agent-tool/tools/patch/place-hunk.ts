import { DoorwardError } from "@doorward/contracts";
import { linesOf, type Hunk } from "./patch.ts";

/** Where a hunk fits. */
export type Place =
  /** Index of its first old line; `drift`: how far that is from the line that it names, for the hunks after it. */
  | { readonly kind: "found"; readonly at: number; readonly drift: number }
  | { readonly kind: "absent"; readonly why: string; readonly wanted: readonly string[] }
  /** Numbers of the lines where it would fit. */
  | { readonly kind: "several"; readonly lines: readonly number[] };

/** What earlier hunks leave: the first line that is free, how far they were off, and what may still be compared. */
export interface Progress {
  readonly from: number;
  readonly drift: number;
  readonly effort: Effort;
}

/** How much is compared for one file before it is refused, so that no patch holds up everybody else. */
export class Effort {
  #left = 50_000_000;

  /** Takes some of it; INPUT_TOO_LARGE when nothing is left. */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left >= 0) return;
    throw new DoorwardError({
      code: "INPUT_TOO_LARGE",
      message: "Cannot apply the patch: finding the places of its hunks takes too long",
      hint: "Nothing was changed. Send fewer hunks a call, or hunks with line numbers",
    });
  }
}

const NAMED_PLACES = 10;

/** Finds where a hunk fits: at the line that it names, else wherever its old lines stand once after the former hunk. */
export function placeHunk(all: readonly string[], hunk: Hunk, progress: Progress): Place {
  const lines = new Lines(all, progress.effort);
  const wanted = linesOf(hunk, "old").map(({ text }) => text);
  if (hunk.at !== null) return placeNumbered(lines, wanted, hunk.at, progress);
  const { drift } = progress;
  const start = lines.afterHeaders(hunk.after, progress.from);
  if (start === null) return { kind: "absent", why: 'the line after "@@" is not found', wanted: hunk.after };
  if (wanted.length === 0) return placeAddition(lines, hunk, drift);
  const end = all.length - wanted.length;
  if (hunk.atEnd && end >= start && lines.fit(wanted, end, trimmed)) return { kind: "found", at: end, drift };
  const headed = hunk.after.length > 0;
  const found = lines.candidates(wanted, start);
  // some repeat the header as the first line of the context
  if (found.length === 0 && headed) found.push(...lines.candidates(wanted, start - 1));
  return chosen(found, wanted, { drift, first: headed, why: "its lines are not found" });
}

function placeNumbered(
  lines: Lines,
  wanted: readonly string[],
  at: number,
  { from, drift }: Progress,
): Place {
  // without old lines the header names the line before
  const index = wanted.length === 0 ? at : at - 1;
  const expected = index + drift;
  if (wanted.length === 0) {
    if (expected >= from && expected <= lines.all.length) return { kind: "found", at: expected, drift };
    return { kind: "absent", why: `the file has no line ${at}`, wanted };
  }
  const here = expected >= from && [exact, trimmed].some((same) => lines.fit(wanted, expected, same));
  if (here) return { kind: "found", at: expected, drift };
  const why = "its lines are not found, there or elsewhere after the former hunk";
  const place = chosen(lines.candidates(wanted, from), wanted, { drift, first: false, why });
  return place.kind === "found" ? { ...place, drift: place.at - index } : place;
}

/** A hunk of new lines alone goes to the end; after a header it could mean two places. */
function placeAddition(lines: Lines, hunk: Hunk, drift: number): Place {
  if (hunk.after.length === 0) return { kind: "found", at: lines.all.length, drift };
  return {
    kind: "absent",
    why: 'it has no context line (starting with " ") that says where',
    wanted: hunk.after,
  };
}

function chosen(
  found: readonly number[],
  wanted: readonly string[],
  { drift, first, why }: { readonly drift: number; readonly first: boolean; readonly why: string },
): Place {
  const [at] = found;
  if (at === undefined) return { kind: "absent", why, wanted };
  if (found.length === 1 || first) return { kind: "found", at, drift };
  return { kind: "several", lines: found.slice(0, NAMED_PLACES).map((each) => each + 1) };
}

type Same = (line: string, wanted: string) => boolean;

const exact: Same = (line, wanted) => line === wanted;
const trimmed: Same = (line, wanted) => line.trimEnd() === wanted.trimEnd();

/** Lines of a file, and the effort of comparing them. */
class Lines {
  readonly all: readonly string[];
  readonly #effort: Effort;

  constructor(all: readonly string[], effort: Effort) {
    this.all = all;
    this.#effort = effort;
  }

  fit(wanted: readonly string[], at: number, same: Same): boolean {
    if (at + wanted.length > this.all.length) return false;
    return wanted.every((line, index) => {
      this.#effort.spend(1 + line.length);
      return same(this.all[at + index] ?? "", line);
    });
  }

  /** Everywhere that lines stand from `start` on: exactly, or else with other white space at their ends. */
  candidates(wanted: readonly string[], start: number): number[] {
    for (const same of [exact, trimmed]) {
      const found: number[] = [];
      for (let at = Math.max(0, start); at + wanted.length <= this.all.length; at += 1) {
        if (this.fit(wanted, at, same)) found.push(at);
        if (found.length > NAMED_PLACES) break;
      }
      if (found.length > 0) return found;
    }
    return [];
  }

  /** First line after all headers; indentation of a header does not count, as it only says where to look. */
  afterHeaders(headers: readonly string[], from: number): number | null {
    let at = from;
    for (const header of headers) {
      this.#effort.spend(this.all.length - at);
      const text = header.trim();
      const found = this.all.findIndex((line, index) => index >= at && line.trim() === text);
      if (found === -1) return null;
      at = found + 1;
    }
    return at;
  }
}
