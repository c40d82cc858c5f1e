import * as z from "zod";
import { SessionId } from "../text.ts";
import { Argv, ExitStatus, WindowBytes, WireCwd, WireEnv, WireError, WireNotice } from "./common.ts";

/** WebSocket subprotocol of the exec door. */
export const EXEC_PROTOCOL = "doorward.exec.v1";

/** Signals that a client may send to its command's process group. */
export const ExecSignal = z
  .enum([
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGKILL",
    "SIGUSR1",
    "SIGUSR2",
    "SIGTERM",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGWINCH",
  ])
  .describe("Signal for the whole process group");
export type ExecSignal = z.infer<typeof ExecSignal>;

/** First message of the client: the command to run. */
export const ExecHello = z.strictObject({
  type: z.literal("exec").describe("Kind of message"),
  argv: Argv,
  cwd: WireCwd.optional(),
  env: WireEnv.optional(),
  stdin: z.boolean().optional().describe("Whether stdin will be sent; empty when absent"),
  window: WindowBytes.optional(),
});
export type ExecHello = z.infer<typeof ExecHello>;

/** Every text message that a client of `doorward.exec.v1` may send. */
export const ExecClientMessage = z.discriminatedUnion("type", [
  ExecHello,
  z.strictObject({ type: z.literal("stdin-end") }),
  z.strictObject({ type: z.literal("signal"), signal: ExecSignal }),
  z.strictObject({
    type: z.literal("ack"),
    bytes: z.int().min(0).describe("Bytes of stdout and stderr consumed since the start"),
  }),
]);
export type ExecClientMessage = z.infer<typeof ExecClientMessage>;

/** Every text message that the door may send on `doorward.exec.v1`. */
export const ExecServerMessage = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("started"),
    session: SessionId.describe("Id of this session, also in evidence"),
    stdinWindow: z.int().min(0).describe("Bytes of stdin that may be sent before the first stdin-credit"),
    window: WindowBytes,
  }),
  z.strictObject({
    type: z.literal("stdin-credit"),
    bytes: z.int().min(1).describe("Further bytes of stdin that may be sent"),
  }),
  z.strictObject({ type: z.literal("exit"), ...ExitStatus.shape }),
  WireNotice,
  WireError,
]);
export type ExecServerMessage = z.infer<typeof ExecServerMessage>;
