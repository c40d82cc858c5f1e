import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import { defineTool } from "../tool.ts";
import { applyEdits } from "./apply-edits.ts";
import { changeFiles, readWhole } from "./change-files.ts";
import { pathInput } from "./inputs.ts";
import { requireFile, shownPath } from "./machine-path.ts";
import { shortDiff } from "./short-diff.ts";
import { decodeText, encodeText, requireWellFormed } from "./text-file.ts";

/** Most edits in one call. */
const EDITS = 100;
/** Longest text of an edit, in characters. */
const EDIT_CHARS = 1_000_000;

const Input = z.strictObject({
  path: pathInput("File to change"),
  edits: z
    .array(
      z.strictObject({
        old_text: z
          .string()
          .max(EDIT_CHARS)
          .describe(
            "Text to replace, exactly as in the file, without line numbers; must be unique in the file",
          ),
        new_text: z.string().max(EDIT_CHARS).describe("Text to put in its place; empty to delete"),
        replace_all: z.boolean().optional().describe("Replace every occurrence; false when absent"),
      }),
    )
    .min(1)
    .max(EDITS)
    .describe("Replacements, made in order, each on the result of the one before; all are made or none"),
});

const Output = z.strictObject({
  path: z.string().describe("Absolute path, links resolved"),
  replacements: z.int().describe("How many places were replaced"),
  size: z.int().describe("Bytes of the file now"),
  digest: z.string().describe("Digest of the file now"),
  diff: z.string().nullable().describe("What changed, as a short unified diff; null for very large files"),
});

/** Replaces exact texts in a file, several at once, all or none. */
export const editFile = defineTool({
  name: "edit_file",
  title: "Edit a file",
  description:
    "Replaces exact text in a file. Each old_text must occur exactly once (or set replace_all), with its white space as it is. " +
    "Several edits are made in order, all or none. Line ends and encoding of the file stay. Answers with a diff.",
  input: Input,
  output: Output,
  hints: { idempotent: false, destructive: true },
  call: async ({ path, edits }, call) => {
    for (const edit of edits) requireWellFormed("new_text", edit.new_text);
    const files = await call.session.files(call.signal);
    const stat = await requireFile(files, path, call);
    const { changed, extra } = await changeFiles(files, call, async () => {
      const { bytes, digest } = await readWhole(files, path, call);
      const before = decodeText(path, bytes);
      const after = applyEdits(path, before.text, edits);
      if (after.text === before.text) throw unchanged(path);
      const next = encodeText({ ...before, text: after.text });
      const change = { kind: "write", path, bytes: next, expect: { digest }, parents: false } as const;
      return { changes: [change], extra: { before, after, size: next.length } };
    });
    const digest = changed[0]?.digest ?? "";
    const { before, after, size } = extra;
    const shown = shownPath(call, stat.path);
    const diff = shortDiff(shown, before.text, after.text);
    const places = after.replacements === 1 ? "1 place" : `${after.replacements} places`;
    return {
      structured: {
        path: stat.path,
        replacements: after.replacements,
        size,
        digest,
        diff,
      },
      text: `Changed ${shown}: ${places} replaced (now ${size} bytes, ${digest})${diff === null ? "" : `\n${diff}`}`,
      files: [stat.path],
      target: stat.path,
    };
  },
});

function unchanged(path: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot edit "${path}": the edits together leave it as it is`,
    hint: "Check old_text and new_text of each edit",
  });
}
