import { DoorwardError } from "@doorward/contracts";
import type { Expectation } from "@doorward/guest";
import { createTwoFilesPatch } from "diff";
import { posix } from "node:path";
import type { AgentSession } from "../agent-session.ts";
import { argumentLines } from "../approval-text.ts";
import type { ShownEffect, ShownFile } from "../tool.ts";
import { CHANGED_FILE_BYTES } from "./change-files.ts";

/** Files above this are shown as they will be, without what they were, in bytes. */
const COMPARED_BYTES = 262_144;
const DIFF_MS = 300;

/** A call of write_file. */
export interface WriteInput {
  readonly path: string;
  readonly content: string;
  readonly if_digest?: string | undefined;
  readonly create_only?: boolean | undefined;
}

/**
 * What writing a file does, for the operator: what changes in a file that is there, all of one that is not. The write
 * that he approves is of the file as it is now.
 */
export async function writeEffect(input: WriteInput, session: AgentSession): Promise<ShownEffect> {
  const { file, text } = await nowAt(input.path, session);
  refuseVain(input, file.expect);
  const { content, ...rest } = input;
  const lines = argumentLines(rest);
  if (file.path !== posix.resolve(session.door.reach.workdir, input.path))
    lines.push(`which is ${JSON.stringify(file.path)}`);
  const patch = text === null ? undefined : patchOf(text, content);
  if (patch === undefined) return { lines: [...lines, ...insteadOf(file.expect, content)], file };
  const changes = patch.map((line) => `  ${line}`);
  return {
    lines: [...lines, "replaces the whole file; in what is there now, this changes:", ...changes],
    file,
  };
}

function insteadOf(expect: Expectation, content: string): string[] {
  const replaced = expect === "absent" ? [] : ["replaces the whole file, which is not shown, with this:"];
  return [...replaced, ...argumentLines({ content })];
}

function patchOf(before: string, after: string): string[] | undefined {
  const options = { context: 3, timeout: DIFF_MS } as const;
  const patch: string | undefined = createTwoFilesPatch(
    "now",
    "then",
    before,
    after,
    undefined,
    undefined,
    options,
  );
  return patch?.replace(/^=+\n/, "").trimEnd().split("\n");
}

/** What is at a path; its text where it is short enough to be compared. */
async function nowAt(path: string, session: AgentSession): Promise<{ file: ShownFile; text: string | null }> {
  const { signal } = session.pending;
  const files = await session.files(signal);
  try {
    const { path: real } = await files.stat(path, signal);
    const { bytes, size, digest } = await files.read(real, { offset: 0, length: CHANGED_FILE_BYTES }, signal);
    const text = size > COMPARED_BYTES ? null : bytes.toString("utf8");
    return { file: { path: real, expect: digest === null ? "any" : { digest } }, text };
  } catch (error) {
    if (!(error instanceof DoorwardError) || error.code !== "PATH_NOT_FOUND") throw error;
    return {
      file: { path: posix.resolve(session.door.reach.workdir, path), expect: "absent" },
      text: null,
    };
  }
}

/** Nobody is asked about what its own conditions refuse already. */
function refuseVain({ path, if_digest: digest, create_only: create }: WriteInput, expect: Expectation): void {
  const there = typeof expect === "object" ? expect.digest : null;
  const vain =
    (create === true && expect !== "absent") ||
    (digest !== undefined && expect !== "any" && there !== digest);
  if (!vain) return;
  throw new DoorwardError({
    code: "PATH_CHANGED",
    message: `Cannot write "${path}": ${create === true ? "it exists already" : "it is not what if_digest says"}`,
    hint: "Nobody was asked. Read it again, then make the call for what is there now",
  });
}
