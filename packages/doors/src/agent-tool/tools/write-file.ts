import { DoorwardError } from "@doorward/contracts";
import type { Expectation } from "@doorward/guest";
import * as z from "zod";
import { defineTool } from "../tool.ts";
import { Digest, pathInput } from "./inputs.ts";
import { shownPath, withHint } from "./machine-path.ts";
import { requireWellFormed } from "./text-file.ts";
import { writeEffect } from "./write-effect.ts";

/** Longest content of a written file, in characters. */
const WRITE_CHARS = 4_194_304;

const Input = z.strictObject({
  path: pathInput("File to write"),
  content: z
    .string()
    .max(WRITE_CHARS)
    .describe("The whole new content, written as UTF-8, line ends as given"),
  if_digest: Digest.optional().describe(
    "Write only if the file still has this digest (from read_file); use it when you overwrite what you read",
  ),
  create_only: z.boolean().optional().describe("Write only if nothing is there yet; false when absent"),
});

const Output = z.strictObject({
  path: z.string().describe("Absolute path, links resolved"),
  created: z.boolean().describe("Whether the file was not there before"),
  size: z.int().describe("Bytes written"),
  digest: z.string().describe("Digest of the file now"),
});

/** Writes a whole file, making folders above it. */
export const writeFile = defineTool({
  name: "write_file",
  title: "Write a file",
  description:
    "Writes a whole file, replacing what is there, and makes missing folders above it. " +
    "To change a part of a file use edit_file. With if_digest or create_only nothing is overwritten unseen.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: true },
  effect: writeEffect,
  call: async (input, call) => {
    const asked = expectationOf(input);
    const { path: at, expect } = call.shown ?? { path: input.path, expect: asked };
    requireWellFormed("content", input.content);
    const bytes = Buffer.from(input.content, "utf8");
    const files = await call.session.files(call.signal);
    const change = { kind: "write", path: at, bytes, expect, parents: true } as const;
    const changed = await files.change([change], call.signal).catch((error: unknown) => {
      if (call.shown !== null) throw sinceShown(error);
      throw withHint(error, "PATH_CHANGED", expect === "absent" ? EXISTS_HINT : CHANGED_HINT);
    });
    const { path, created, digest } = changed[0] ?? { path: input.path, created: false, digest: null };
    const about = `${bytes.length} bytes, ${digest ?? ""}`;
    return {
      structured: {
        path,
        created,
        size: bytes.length,
        digest: digest ?? "",
      },
      text: `${created ? "Created" : "Overwrote"} ${shownPath(call, path)} (${about})`,
      files: [path],
      target: path,
    };
  },
});

const EXISTS_HINT = "Read it, then change it with edit_file, or write it with if_digest";
const CHANGED_HINT = "Read the file again, then repeat the change on what it has now";

/** What was approved was a change of the file that was shown. */
function sinceShown(error: unknown): unknown {
  if (!(error instanceof DoorwardError) || error.code !== "PATH_CHANGED") return error;
  return new DoorwardError({
    code: "APPROVAL_CHANGED",
    message: `${error.message}; the operator approved a change of what was there before`,
    hint: "Nothing was written. Read the file again, then make the call for what it has now",
    cause: error,
  });
}

function expectationOf(input: z.output<typeof Input>): Expectation {
  if (input.create_only !== true) return input.if_digest === undefined ? "any" : { digest: input.if_digest };
  if (input.if_digest === undefined) return "absent";
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot write "${input.path}": if_digest and create_only exclude each other`,
    hint: "Give one of them: if_digest to replace a file that you read, create_only for a new one",
  });
}
