import * as z from "zod";
import { MachinePath } from "../text.ts";

/** Largest WebSocket message, in bytes, that a terminal or exec door accepts or sends. */
export const MAX_WIRE_MESSAGE_BYTES = 1_048_576;

/** Largest payload, in bytes, of one binary message in either direction. */
export const MAX_WIRE_CHUNK_BYTES = 262_144;

/** Un-acknowledged output that a door sends when the client names no window, in bytes. */
export const DEFAULT_WINDOW_BYTES = 262_144;

/** Id of a terminal, minted by the bridge. */
export const TerminalId = z
  .string()
  .regex(/^t_[a-z0-9]{10,32}$/)
  .describe("Id of a terminal");

/** An argument vector: the program first, looked up in the machine's PATH; never a shell's line. */
export const Argv = z
  .array(
    z
      .string()
      .max(131_072)
      .regex(/^[^\u0000]*$/),
  )
  .min(1)
  .max(8192)
  .describe("Program and arguments; no shell takes them apart");

/** Variables that are added to the machine's environment. */
export const WireEnv = z
  .record(
    z
      .string()
      .max(256)
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
    z
      .string()
      .max(131_072)
      .regex(/^[^\u0000]*$/),
  )
  .describe("Variables added to the machine's environment");

/** Working folder inside the machine. */
export const WireCwd = MachinePath.describe("Working folder; the machine's when absent");

/** Columns or rows of a terminal. */
export const Cells = z.int().min(1).max(10_000).describe("Character cells");

/** Window of un-acknowledged output, in bytes. */
export const WindowBytes = z
  .int()
  .min(4096)
  .max(8_388_608)
  .describe("Un-acknowledged output the client can hold, in bytes; 262144 when absent");

/** Absolute position in a terminal's output: bytes since it was created. */
export const Offset = z.int().min(0).describe("Absolute position in the output, in bytes since creation");

/** How a program ended: an exit code, or the signal that killed it. */
export const ExitStatus = z.strictObject({
  code: z.int().min(0).max(255).nullable().describe("Exit code; null when a signal killed it"),
  signal: z
    .string()
    .max(20)
    .regex(/^SIG[A-Z0-9]+$/)
    .nullable()
    .describe("Signal that killed it, e.g. SIGTERM; null when it exited"),
});
export type ExitStatus = z.infer<typeof ExitStatus>;

/** Something went wrong; when `fatal`, the socket is closed next with the code as its reason. */
export const WireError = z.strictObject({
  type: z.literal("error").describe("Kind of message"),
  code: z.string().max(60).describe("Stable error code"),
  message: z.string().max(4000).describe("What happened to what"),
  hint: z.string().max(4000).optional().describe("What to do about it"),
  fatal: z.boolean().describe("Whether the socket is closed next"),
});
export type WireError = z.infer<typeof WireError>;

/** Something that a person should know, e.g. that the grant ends soon. */
export const WireNotice = z.strictObject({
  type: z.literal("notice").describe("Kind of message"),
  notice: z
    .enum(["grant-expires", "machine-expires", "bridge-stopping", "message"])
    .describe("What the notice is about"),
  message: z.string().max(1000).describe("Text for people"),
  at: z.iso.datetime().optional().describe("When it will happen"),
});
export type WireNotice = z.infer<typeof WireNotice>;
