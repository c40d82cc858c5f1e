/** A header with line numbers: old start and count, new start and count. */
export const NUMBERED_HUNK = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@/;

/** Line of the old file that a header names; null for one without numbers. */
export function hunkNumber(line: string): number | null {
  const start = NUMBERED_HUNK.exec(line)?.[1];
  return start === undefined ? null : Number(start);
}

/** How many lines a header says that its hunk has, before and after. */
export function hunkCounts(line: string): { readonly old: number; readonly new: number } | null {
  const found = NUMBERED_HUNK.exec(line);
  if (found === null) return null;
  return { old: Number(found[2] ?? 1), new: Number(found[4] ?? 1) };
}
