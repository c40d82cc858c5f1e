import * as z from "zod";
import { defineTool } from "../tool.ts";
import { pathInput } from "./inputs.ts";
import { refusedGlob, shownPath } from "./machine-path.ts";

/** Most files in one answer. */
export const FOUND_FILES = 1000;
/** Longest glob. */
export const GLOB_CHARS = 1000;

const Input = z.strictObject({
  glob: z
    .string()
    .min(1)
    .max(GLOB_CHARS)
    .describe('Name pattern, e.g. "*.ts" (in any folder), "src/**/*.test.ts", "{a,b}.json"'),
  path: pathInput("Folder to look in, the repository folder when absent").optional(),
  include_ignored: z
    .boolean()
    .optional()
    .describe("Look into hidden folders and what .gitignore names too; false when absent"),
});

const Output = z.strictObject({
  path: z.string().describe("Absolute path of the folder"),
  files: z.array(z.string()).describe("Absolute paths, sorted"),
  truncated: z.boolean().describe("Whether more files were found than are named"),
});

/** Finds files of the machine by name. */
export const findFiles = defineTool({
  name: "find_files",
  title: "Find files by name",
  description:
    `Finds files whose path matches a glob, up to ${FOUND_FILES}, in a folder and all below it. ` +
    "Does not enter hidden folders and those that .gitignore names unless include_ignored is true. To look into files use search_files.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async ({ glob, path, include_ignored = false }, call) => {
    const files = await call.session.files(call.signal);
    const folder = path ?? call.session.door.reach.workdir;
    const { path: absolute } = await files.stat(folder, call.signal);
    const request = { glob, path: folder, ignored: include_ignored, limit: FOUND_FILES };
    const { items, truncated } = await files.find(request, call.signal).catch(refusedGlob);
    const found = [...items].sort();
    const where = `${JSON.stringify(glob)} in ${shownPath(call, absolute)}`;
    const count = found.length === 1 ? "1 file" : `${found.length} files`;
    return {
      structured: { path: absolute, files: found, truncated },
      text: [
        `Found ${truncated ? "more than " : ""}${count} for ${where}`,
        ...found.map((file) => shownPath(call, file)),
        ...(found.length === 0 && !include_ignored ? [NONE] : []),
        ...(truncated ? [MORE] : []),
      ].join("\n"),
      target: absolute,
    };
  },
});

const NONE = "[Hidden and ignored folders were left out; set include_ignored to look into them too.]";
const MORE = "[More files match: use a narrower glob or path.]";
