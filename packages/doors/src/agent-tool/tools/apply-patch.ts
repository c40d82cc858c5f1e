import type { FileChanged } from "@doorward/guest";
import * as z from "zod";
import { defineTool, type ToolCall } from "../tool.ts";
import { changeFiles } from "./change-files.ts";
import { shownPath } from "./machine-path.ts";
import { parsePatch } from "./patch/parse-patch.ts";
import { planPatch, type PatchStep, type PatchedFile } from "./plan-patch.ts";

/** Longest patch, in characters. */
const PATCH_CHARS = 1_048_576;

const Input = z.strictObject({
  patch: z
    .string()
    .min(1)
    .max(PATCH_CHARS)
    .describe(
      'Either "*** Begin Patch" ... "*** End Patch" with "*** Add File: ", "*** Update File: " (and "*** Move to: "), ' +
        '"*** Delete File: " sections, or a unified diff as git writes it. Paths are relative to the machine\'s repository folder',
    ),
});

const Output = z.strictObject({
  files: z
    .array(
      z.strictObject({
        path: z.string().describe("Absolute path afterwards"),
        action: z.enum(["created", "changed", "deleted", "moved"]).describe("What became of it"),
        from: z.string().nullable().describe("Absolute path before; null unless it moved"),
        added: z.int().describe("Lines added"),
        removed: z.int().describe("Lines removed"),
        digest: z
          .string()
          .nullable()
          .describe("Digest of the file now; null where it was deleted or only moved"),
      }),
    )
    .describe("Files of the patch, in its order"),
});

/** Applies a patch to several files, all or none. */
export const applyPatch = defineTool({
  name: "apply_patch",
  title: "Apply a patch",
  description:
    "Changes, makes, moves and deletes several files in one step, all or none, from a patch: the *** Begin Patch form or a unified diff. " +
    "Context and removed lines must be in the file as given (white space at line ends aside); line numbers may be off, or left out (@@). " +
    "A hunk that does not fit is refused with the nearest lines.",
  input: Input,
  output: Output,
  hints: { idempotent: false, destructive: true },
  call: async ({ patch }, call) => {
    const patches = parsePatch(patch);
    const files = await call.session.files(call.signal);
    const { changed, extra } = await changeFiles(files, call, () => planPatch(patches, files, call));
    const done = patchedFiles(extra, changed);
    const what = done.length === 1 ? "1 file" : `${done.length} files`;
    return {
      structured: { files: done },
      text: [`Patched ${what}:`, ...done.map((file) => line(file, call))].join("\n"),
      files: done.flatMap(({ action, path }) => (action === "deleted" ? [] : [path])),
      target: done[0]?.path ?? call.session.door.reach.workdir,
    };
  },
});

function patchedFiles(
  steps: readonly PatchStep[],
  changed: readonly FileChanged[],
): (PatchedFile & { readonly digest: string | null })[] {
  let at = 0;
  return steps.map(({ changes, file }) => {
    const own = changed.slice(at, at + changes.length);
    at += changes.length;
    return { ...file, path: pathOf(file, own), digest: own[0]?.digest ?? null };
  });
}

/** The path that something was written at or moved to, links resolved. */
function pathOf(file: PatchedFile, [first]: readonly FileChanged[]): string {
  return file.action === "deleted" || first === undefined ? file.path : first.path;
}

function line({ path, action, from, added, removed }: PatchedFile, call: ToolCall): string {
  const name = shownPath(call, path);
  const moved = from === null ? name : `${shownPath(call, from)} -> ${name}`;
  return `${action} ${moved} (+${added} -${removed})`;
}
