import { createTwoFilesPatch } from "diff";
import type { AgentSession } from "../agent-session.ts";
import { argumentLines } from "../approval-text.ts";

/** Files above this are shown as they will be, without what they were, in bytes. */
const COMPARED_BYTES = 262_144;
const DIFF_MS = 300;

/** What writing a file does, for the operator: what changes in a file that is there, all of one that is not. */
export async function writeEffect(
  input: { readonly path: string; readonly content: string },
  session: AgentSession,
): Promise<readonly string[]> {
  const before = await contentOf(input.path, session);
  const { content, ...rest } = input;
  if (before === null) return argumentLines({ ...rest, content });
  const options = { context: 3, timeout: DIFF_MS } as const;
  const patch: string | undefined = createTwoFilesPatch(
    "now",
    "then",
    before,
    content,
    undefined,
    undefined,
    options,
  );
  if (patch === undefined) return argumentLines({ ...rest, content });
  return [
    ...argumentLines(rest),
    "replaces the whole file; in what is there now, this changes:",
    ...patch
      .replace(/^=+\n/, "")
      .trimEnd()
      .split("\n")
      .map((line) => `  ${line}`),
  ];
}

async function contentOf(path: string, session: AgentSession): Promise<string | null> {
  try {
    const { signal } = session.pending;
    const files = await session.files(signal);
    const { bytes, size } = await files.read(path, { offset: 0, length: COMPARED_BYTES }, signal);
    return size > COMPARED_BYTES ? null : bytes.toString("utf8");
  } catch {
    // What can't be read is not there for this session, or fails when it is written.
    return null;
  }
}
