import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { SearchLine, SearchRequest } from "@doorward/guest";
import * as z from "zod";
import { defineTool, type ToolCall } from "../tool.ts";
import { GLOB_CHARS } from "./find-files.ts";
import { pathInput } from "./inputs.ts";
import { refusedGlob, shownPath } from "./machine-path.ts";

/** Matching lines that are answered when the call does not say. */
const SEARCH_LINES = 200;
/** Most matching lines that a call may ask for. */
const SEARCH_LINES_MAX = 2000;
/** Most lines around each match. */
const SEARCH_CONTEXT = 20;
/** Longest pattern. */
const PATTERN_CHARS = 10_000;
/** Most characters of lines in one answer; what is beyond is left out. */
const SEARCH_CHARS = 262_144;

const Input = z.strictObject({
  pattern: z
    .string()
    .min(1)
    .max(PATTERN_CHARS)
    .describe("Regular expression as ripgrep reads it, matched line by line; plain text with literal"),
  path: pathInput("File or folder to search, the repository folder when absent").optional(),
  glob: z.string().min(1).max(GLOB_CHARS).optional().describe('Search only files that match it, e.g. "*.ts"'),
  literal: z.boolean().optional().describe("Take the pattern as plain text; false when absent"),
  case_sensitive: z.boolean().optional().describe("Tell upper and lower case apart; true when absent"),
  context_lines: z
    .int()
    .min(0)
    .max(SEARCH_CONTEXT)
    .optional()
    .describe("Lines to show before and after each match; 0 when absent"),
  limit: z
    .int()
    .min(1)
    .max(SEARCH_LINES_MAX)
    .optional()
    .describe(`Most matching lines; ${SEARCH_LINES} when absent`),
  include_ignored: z
    .boolean()
    .optional()
    .describe("Search hidden files and what .gitignore names too; false when absent"),
});

const Output = z.strictObject({
  path: z.string().describe("Absolute path of what was searched"),
  matches: z.int().describe("Matching lines in this answer"),
  files: z.int().describe("Files with matching lines in this answer"),
  lines: z
    .array(
      z.strictObject({
        path: z.string().describe("Absolute path of the file"),
        line: z.int().describe("Line number, from 1"),
        match: z.boolean().describe("Whether it matches; false for a line around a match"),
        text: z.string().describe("The line, cut where it is very long"),
      }),
    )
    .describe("Found lines, by file and number"),
  truncated: z.boolean().describe("Whether there are more matches than were answered"),
});

/** Searches the content of files of the machine. */
export const searchFiles = defineTool({
  name: "search_files",
  title: "Search in files",
  description:
    "Searches the lines of files for a regular expression (ripgrep's) or plain text, and gives back file, line number and line. " +
    "Leaves out binary and hidden files and what .gitignore names unless include_ignored is true.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async (input, call) => {
    const files = await call.session.files(call.signal);
    const folder = input.path ?? call.session.door.reach.workdir;
    const { path } = await files.stat(folder, call.signal);
    const found = await files.search(requestOf(input, folder), call.signal).catch(refusedPattern);
    const lines = shortened(found.items);
    const truncated = found.truncated || lines.length < found.items.length;
    const matching = lines.filter(({ match }) => match);
    const counted = new Set(matching.map((each) => each.path)).size;
    return {
      structured: {
        path,
        matches: matching.length,
        files: counted,
        lines,
        truncated,
      },
      text: [
        `${headOf(matching.length, counted, truncated)} for ${JSON.stringify(input.pattern)} in ${shownPath(call, path)}`,
        ...grouped(lines, call),
        ...(truncated ? [MORE] : []),
        ...(lines.length === 0 && input.include_ignored !== true ? [NONE] : []),
      ].join("\n"),
      target: path,
    };
  },
});

/** How ripgrep begins what it says of a pattern, behind the path that was searched; that or a glob may be called anything. */
const OF_PATTERN = /": (?:regex parse error:|compiled regex exceeds|the literal )/i;

/** ripgrep's word on a pattern says what is wrong with it, and not that it need not be one. */
function refusedPattern(thrown: unknown): never {
  const error = toDoorwardError(thrown);
  const { code, message } = error;
  if (code !== "INPUT_INVALID" || !OF_PATTERN.test(message)) return refusedGlob(error);
  const hint = "Mend the expression, or set literal to true to look for the pattern as plain text";
  throw new DoorwardError({ code, message, hint, cause: error });
}

const NONE = "[Hidden and ignored files were left out; set include_ignored to search them too.]";
const MORE = "[There are more matches: use a narrower pattern, path or glob, or a higher limit.]";

function requestOf(input: z.output<typeof Input>, path: string): SearchRequest {
  return {
    pattern: input.pattern,
    literal: input.literal ?? false,
    caseSensitive: input.case_sensitive ?? true,
    path,
    globs: input.glob === undefined ? [] : [input.glob],
    ignored: input.include_ignored ?? false,
    context: input.context_lines ?? 0,
    limit: input.limit ?? SEARCH_LINES,
  };
}

function shortened(lines: readonly SearchLine[]): SearchLine[] {
  let room = SEARCH_CHARS;
  return lines.filter(({ text }) => (room -= text.length + 1) >= 0);
}

function headOf(matches: number, files: number, truncated: boolean): string {
  if (matches === 0) return "Found nothing";
  const lines = matches === 1 ? "1 line" : `${matches} lines`;
  return `Found ${truncated ? "more than " : ""}${lines} in ${files === 1 ? "1 file" : `${files} files`}`;
}

/** Lines below the name of their file: `12:` for a match, `12-` for what is around it, `--` where lines are left out. */
function grouped(lines: readonly SearchLine[], call: ToolCall): string[] {
  let before: SearchLine | undefined;
  return lines.flatMap((each) => {
    const same = before?.path === each.path;
    const apart = same && before?.match === false && each.line > before.line + 1;
    before = each;
    const line = `${each.line}${each.match ? ":" : "-"}${each.text.replace(/\r$/, "")}`;
    return [...(same ? [] : [shownPath(call, each.path)]), ...(apart ? ["--"] : []), line];
  });
}
