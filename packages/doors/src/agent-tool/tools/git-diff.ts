import * as z from "zod";
import { defineTool } from "../tool.ts";
import { git, gitPlace } from "./git-command.ts";
import { pathInput } from "./inputs.ts";
import { requireKnown } from "./known-path.ts";
import { LineWindow } from "./line-window.ts";

/** Lines of a diff in one answer. */
export const DIFF_LINES = 2000;
/** Most bytes of a diff in one answer. */
const DIFF_BYTES = 131_072;
/** Most characters of one line. */
const DIFF_LINE_CHARS = 2000;
/** Longest name of a revision. */
const BASE_CHARS = 200;
/** Most files that are named in one answer. */
const DIFF_FILES = 1000;

/** A revision as people write it; never an option, a range of paths or a command. */
const REVISION = /^[A-Za-z0-9_@][A-Za-z0-9_./@{}^~+-]*$/;

const Input = z.strictObject({
  path: pathInput("File or folder to compare; the machine's repository when absent").optional(),
  staged: z.boolean().optional().describe("Compare what is staged, not the work tree; false when absent"),
  base: z
    .string()
    .max(BASE_CHARS)
    .regex(REVISION)
    .optional()
    .describe(
      'Revision to compare with, e.g. "HEAD", "main", "HEAD~2", "main...HEAD"; the index when absent',
    ),
  offset_line: z
    .int()
    .min(1)
    .optional()
    .describe("First line of the diff to give back, from 1; 1 when absent"),
});

const Output = z.strictObject({
  files: z
    .array(
      z.strictObject({
        path: z.string().describe("Path below the repository's root"),
        added: z.int().nullable().describe("Lines added; null for a binary file"),
        removed: z.int().nullable().describe("Lines removed; null for a binary file"),
      }),
    )
    .describe("Files that differ"),
  diff: z.string().describe("Unified diff"),
  start_line: z.int().describe("Number of the first line in diff"),
  total_lines: z.int().describe("Lines of the whole diff"),
  truncated: z.boolean().describe("Whether lines of the diff follow"),
  next_offset: z.int().nullable().describe("offset_line for the lines that follow; null at the end"),
});

/** Shows what changed in a git work tree of the machine. */
export const gitDiff = defineTool({
  name: "git_diff",
  title: "Git diff",
  description:
    "Shows changes as a unified diff: work tree against index, index against commit (staged), or against a revision (base). " +
    "Untracked files are not in it (see git_status). Pages with offset_line. Changes nothing.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async ({ path, staged = false, base, offset_line = 1 }, call) => {
    const place = await gitPlace(call, path);
    const safe = ["--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"];
    const submodules = place.submodules ? [] : ["--ignore-submodules=dirty"];
    const asked = [...(staged ? ["--cached"] : []), ...(base === undefined ? [] : [base])];
    const limited = ["--", ...(place.path === null ? [] : [place.path])];
    const args = ["diff", ...safe, ...submodules];
    const counts = await git(call, place, [...args, "--numstat", "-z", "--no-renames", ...asked, ...limited]);
    const diff = await git(call, place, [...args, "--patch", ...asked, ...limited]);
    const files = filesOf(counts.toString("utf8"));
    if (diff.length === 0) await requireKnown(call, place, base);
    const page = pageOf(diff.toString("utf8"), offset_line);
    return {
      structured: { files: files.slice(0, DIFF_FILES), ...page },
      text: textOf(place.path ?? place.cwd, files.length, page),
      target: place.path ?? place.cwd,
    };
  },
});

type Page = Omit<z.input<typeof Output>, "machine" | "files">;

function pageOf(diff: string, from: number): Page {
  const window = new LineWindow({ from, lines: DIFF_LINES, bytes: DIFF_BYTES, lineChars: DIFF_LINE_CHARS });
  window.push(diff);
  window.end();
  const text = window.lines.map((line) => `${line}\n`).join("");
  const next = window.full ? from + window.lines.length : null;
  return {
    diff: text,
    start_line: from,
    total_lines: window.total,
    truncated: window.full,
    next_offset: next,
  };
}

function textOf(target: string, files: number, page: Page): string {
  if (page.total_lines === 0) return `Git diff of ${target}: no changes`;
  const end = page.start_line + page.diff.split("\n").length - 2;
  const lines = `lines ${page.start_line}-${end} of ${page.total_lines}`;
  const head = `Git diff of ${target}: ${files === 1 ? "1 file" : `${files} files`}, ${lines}`;
  if (page.diff === "") return `Git diff of ${target}: it has only ${page.total_lines} lines`;
  const more =
    page.next_offset === null
      ? ""
      : `[More follows: call git_diff with offset_line ${page.next_offset}, or give a path.]`;
  return `${head}\n${page.diff}${more}`;
}

function filesOf(counts: string): { path: string; added: number | null; removed: number | null }[] {
  return counts.split("\0").flatMap((record) => {
    const found = /^(\d+|-)\t(\d+|-)\t(.+)$/s.exec(record);
    return found === null
      ? []
      : [{ path: found[3] ?? "", added: number(found[1]), removed: number(found[2]) }];
  });
}

function number(text: string | undefined): number | null {
  return text === undefined || text === "-" ? null : Number(text);
}
