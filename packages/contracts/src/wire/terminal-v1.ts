import * as z from "zod";
import { SessionId } from "../text.ts";
import {
  Argv,
  Cells,
  ExitStatus,
  Offset,
  TerminalId,
  WindowBytes,
  WireCwd,
  WireEnv,
  WireError,
  WireNotice,
} from "./common.ts";

/** WebSocket subprotocol of the terminal door. */
export const TERMINAL_PROTOCOL = "doorward.terminal.v1";

/** Who may type: the controller; everyone else watches. */
export const TerminalRole = z
  .enum(["controller", "observer"])
  .describe("Whether this viewer types and sets the size, or watches");
export type TerminalRole = z.infer<typeof TerminalRole>;

const NewTerminal = z.strictObject({
  new: z
    .strictObject({
      argv: Argv.optional().describe("Program and arguments; an interactive shell when absent"),
      cwd: WireCwd.optional(),
      env: WireEnv.optional(),
    })
    .describe("Create a terminal"),
});
const OldTerminal = z.strictObject({ id: TerminalId.describe("Attach to this terminal") });

/** First message of the client: which terminal, how, and from which byte on. */
export const TerminalHello = z.strictObject({
  type: z.literal("hello").describe("Kind of message"),
  mode: z.enum(["attach", "observe"]).describe("attach may take control; observe never types"),
  terminal: z.union([NewTerminal, OldTerminal]).describe("A new terminal, or the id of one"),
  cols: Cells.optional().describe("Columns of the viewer"),
  rows: Cells.optional().describe("Rows of the viewer"),
  take: z.boolean().optional().describe("Take control from whoever has it; false when absent"),
  resume: Offset.optional().describe("Continue at this position; excludes scrollback"),
  scrollback: z
    .int()
    .min(0)
    .max(16_777_216)
    .optional()
    .describe("Bytes of earlier output to show first; 262144 when absent"),
  window: WindowBytes.optional(),
  transcript: z
    .enum(["on", "off"])
    .optional()
    .describe("Begin only if the profile has this session recorded (on), or not recorded (off)"),
});
export type TerminalHello = z.infer<typeof TerminalHello>;

/** Every text message that a client of `doorward.terminal.v1` may send. */
export const TerminalClientMessage = z.discriminatedUnion("type", [
  TerminalHello,
  z.strictObject({ type: z.literal("resize"), cols: Cells, rows: Cells }),
  z.strictObject({ type: z.literal("ack"), offset: Offset.describe("Everything before it was consumed") }),
  z.strictObject({ type: z.literal("take-control") }),
  z.strictObject({ type: z.literal("release-control") }),
  z.strictObject({ type: z.literal("detach") }),
]);
export type TerminalClientMessage = z.infer<typeof TerminalClientMessage>;

/** Answer to the hello: the terminal is attached and its output follows from `offset` on. */
export const TerminalReady = z.strictObject({
  type: z.literal("ready").describe("Kind of message"),
  terminal: TerminalId,
  session: SessionId.describe("Id of this session, also in evidence"),
  created: z.boolean().describe("Whether this session created the terminal"),
  role: TerminalRole,
  input: z.boolean().describe("Whether the grant allows typing at all"),
  offset: Offset.describe("Position of the first output byte that follows"),
  cols: Cells,
  rows: Cells,
  window: WindowBytes,
});
export type TerminalReady = z.infer<typeof TerminalReady>;

/** Every text message that the door may send on `doorward.terminal.v1`. */
export const TerminalServerMessage = z.discriminatedUnion("type", [
  TerminalReady,
  z.strictObject({
    type: z.literal("gap").describe("Output in [from, to) is lost; the screen may need a repaint"),
    from: Offset,
    to: Offset,
  }),
  z.strictObject({
    type: z.literal("role").describe("Control changed hands"),
    role: TerminalRole,
    controller: SessionId.nullable().describe("Session that controls; null when nobody does"),
  }),
  z.strictObject({ type: z.literal("size"), cols: Cells, rows: Cells }),
  z.strictObject({
    type: z.literal("exit"),
    ...ExitStatus.shape,
    offset: Offset.describe("Length of the output"),
  }),
  WireNotice,
  WireError,
]);
export type TerminalServerMessage = z.infer<typeof TerminalServerMessage>;
