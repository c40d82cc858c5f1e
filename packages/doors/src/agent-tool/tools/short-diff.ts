import { createTwoFilesPatch } from "diff";

/** Most characters of a diff that tells a model what changed. */
const DIFF_CHARS = 8000;
/** Texts above this are not compared, together. */
const COMPARED_CHARS = 2_000_000;
const DIFF_TIME_MS = 300;
/** Lines around each change. */
const CONTEXT_LINES = 2;

/** A short unified diff of what changed, for a model to check its change; null where that would take too long. */
export function shortDiff(path: string, before: string, after: string): string | null {
  if (before.length + after.length > COMPARED_CHARS) return null;
  const options = { context: CONTEXT_LINES, timeout: DIFF_TIME_MS } as const;
  const patch: string | undefined = createTwoFilesPatch(
    path,
    path,
    before,
    after,
    undefined,
    undefined,
    options,
  );
  if (patch === undefined) return null;
  const text = patch.replace(/^=+\n/, "").trimEnd();
  if (text.length <= DIFF_CHARS) return text;
  return `${text.slice(0, text.lastIndexOf("\n", DIFF_CHARS))}\n[The diff goes on; it was cut here.]`;
}
