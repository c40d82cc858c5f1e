import * as z from "zod";
import { Argv, WireCwd } from "./common.ts";

/** Largest message or line, in bytes, that the pipe endpoint carries. */
export const MAX_PIPE_MESSAGE_BYTES = 16_777_216;

/** What the URL's query of the pipe endpoint says: `?arg=PROGRAM&arg=ARGUMENT&cwd=PATH&framing=lines`. */
export const PipeQuery = z.strictObject({
  arg: Argv.max(256).describe("Program and its arguments, one parameter each; no shell takes them apart"),
  cwd: WireCwd.optional(),
  framing: z
    .enum(["lines", "bytes"])
    .describe("lines: one text message is one line of stdin or stdout; bytes: binary messages, as they come"),
});
export type PipeQuery = z.infer<typeof PipeQuery>;
