import * as z from "zod";

/** Longest path that a tool takes, in characters; Linux has no longer one. */
const PATH_CHARS = 4096;

const RELATIVE = "absolute, or relative to the machine's repository folder";

/** A path argument, with what it is for. */
export function pathInput(what: string): z.ZodString {
  return z.string().min(1).max(PATH_CHARS).describe(`${what}: ${RELATIVE}`);
}

/** Digest of a whole file, as other tools of the door answer it. */
export const Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/)
  .describe("Digest of a whole file, as read_file answers it: sha256:<hex>");
