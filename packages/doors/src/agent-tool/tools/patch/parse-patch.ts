import { DoorwardError } from "@doorward/contracts";
import type { FilePatch } from "./patch.ts";
import { isEnvelope, parseEnvelope } from "./parse-envelope.ts";
import { parseUnified } from "./parse-unified.ts";

/** Most files that one patch may name. */
const PATCH_FILES = 200;

/**
 * Reads a patch in either form: the envelope of Codex (`*** Begin Patch`), or a unified diff as git and diff write it.
 * A code fence or a here-document around it is dropped.
 */
export function parsePatch(text: string): readonly FilePatch[] {
  if (text.includes("\0")) throw refused("it has a NUL character; binary files can't be patched");
  const lines = unwrapped(linesOfPatch(text));
  const patches = isEnvelope(lines) ? parseEnvelope(lines) : parseUnified(lines);
  if (patches.length === 0) throw refused("it changes no file");
  if (patches.length > PATCH_FILES) throw refused(`it names more than ${PATCH_FILES} files`);
  return patches;
}

/** Lines of a patch; where its own headers end in CRLF, all of it was written so, and the CRs are not content. */
function linesOfPatch(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const header = lines.find((line) => /^(?:\*\*\* Begin Patch|diff --git |\+\+\+ )/.test(line.trimStart()));
  const plain = header?.endsWith("\r") === true ? lines.map((line) => line.replace(/\r$/, "")) : lines;
  const first = plain.findIndex((line) => line.trim() !== "");
  return first === -1 ? [] : plain.slice(first);
}

function unwrapped(lines: readonly string[]): readonly string[] {
  const first = lines[0]?.trim() ?? "";
  const last = lines.findLastIndex((line) => line.trim() !== "");
  const end = lines[last]?.trim() ?? "";
  if (/^```[\w-]*$/.test(first) && end === "```") return lines.slice(1, last);
  const heredoc = /^(?:apply_patch\s+)?<<-?\s*(['"]?)([A-Za-z_]+)\1$/.exec(first);
  return heredoc?.[2] !== undefined && heredoc[2] === end ? lines.slice(1, last) : lines;
}

function refused(why: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot read the patch: ${why}`,
    hint: "Send *** Begin Patch ... *** End Patch, or a unified diff; to make small changes call edit_file",
  });
}
