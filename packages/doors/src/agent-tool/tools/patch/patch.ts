import { DoorwardError } from "@doorward/contracts";

/** A line of a hunk: context, removed or added. The text keeps a carriage return. */
export interface HunkLine {
  readonly kind: " " | "-" | "+";
  readonly text: string;
  /** False where the patch says that the file ends here without a newline. */
  readonly newline: boolean;
}

/** One place of a file that a patch changes. */
export interface Hunk {
  /** Its first line in the patch, for errors. */
  readonly title: string;
  /** Line of the old file where it starts, from 1; null when it is found by its lines alone. */
  readonly at: number | null;
  /** Lines of the file that stand before it, in order, each somewhere after the former. */
  readonly after: readonly string[];
  readonly lines: readonly HunkLine[];
  /** Whether it ends where the file ends. */
  readonly atEnd: boolean;
}

/** What a patch does to one file. */
export type FilePatch =
  | {
      readonly kind: "add";
      readonly path: string;
      readonly content: string;
      readonly executable: boolean;
    }
  | { readonly kind: "delete"; readonly path: string; readonly hunks: readonly Hunk[] }
  | {
      readonly kind: "update";
      readonly path: string;
      /** Where the file is moved to; null when it stays. */
      readonly to: string | null;
      readonly hunks: readonly Hunk[];
      /** Whether it can be run as a program afterwards; null when that stays as it is. */
      readonly executable: boolean | null;
    };

/** Lines of a hunk that the file has before, or has afterwards. */
export function linesOf(hunk: Hunk, side: "old" | "new"): HunkLine[] {
  const other = side === "old" ? "+" : "-";
  return hunk.lines.filter(({ kind }) => kind !== other);
}

/** A patch that can't be read, with the line of the patch where that shows. */
export function badPatch(line: number, why: string, hint?: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot read the patch: line ${line}: ${why}`,
    hint: `Nothing was changed. ${hint ?? "Send the whole patch again, as *** Begin Patch ... *** End Patch or as a unified diff"}`,
  });
}
