import { createTwoFilesPatch } from "diff";
import { sha256 } from "./observe.ts";

const MAX_DIFF_BYTES = 262_144;
const MAX_PREVIEW = 65_536;
const DIFF_TIME_MS = 500;

/** What changes in a file, for people: a unified diff of text, or sizes and digests. */
export function previewOf(path: string, before: Buffer | null, after: Buffer | null): string {
  const [old, next] = [textOf(before), textOf(after)];
  if (old === null || next === null) return summary(before, after);
  const names = [before === null ? "/dev/null" : path, after === null ? "/dev/null" : path] as const;
  const patch = createTwoFilesPatch(...names, old, next, undefined, undefined, {
    context: 3,
    timeout: DIFF_TIME_MS,
  });
  // Nothing of it may be out of sight: a preview that is cut would hide what is confirmed.
  return patch === undefined || patch.length > MAX_PREVIEW ? summary(before, after) : patch;
}

function textOf(content: Buffer | null): string | null {
  if (content === null) return "";
  if (content.length > MAX_DIFF_BYTES || content.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return null;
  }
}

function summary(before: Buffer | null, after: Buffer | null): string {
  return `${sizeOf(before)} becomes ${sizeOf(after)}`;
}

function sizeOf(content: Buffer | null): string {
  return content === null ? "nothing" : `${String(content.length)} bytes, ${sha256(content)}`;
}
