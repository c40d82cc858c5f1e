import {
  Argv,
  DoorwardError,
  ExecSignal,
  ExitStatus,
  TerminalId,
  TerminalRole,
  WireCwd,
  WireEnv,
} from "@doorward/contracts";
import * as z from "zod";
import { FilesOpen } from "./files-protocol.ts";
import { MAX_DATA_BYTES, type FrameRule, type FrameRules } from "./frame.ts";

/** Versions of this protocol that this build speaks, the newest first: this one, and the one before. */
export const GUEST_PROTOCOLS: readonly number[] = [3, 2];

/** First version whose guest lets go of the machine's egress port when the bridge serves it by itself. */
export const EGRESS_PORT_PROTOCOL = 3;

/** The newest version that both sides speak, or `undefined`. */
export function agreeOnProtocol(ours: readonly number[], theirs: readonly number[]): number | undefined {
  return ours.filter((version) => theirs.includes(version)).sort((a, b) => b - a)[0];
}

/** Frame types. */
export const FRAME = {
  control: 0x01,
  hello: 0x02,
  started: 0x10,
  failed: 0x11,
  exit: 0x12,
  output: 0x20,
  input: 0x21,
  gap: 0x22,
  resize: 0x23,
  role: 0x24,
  stdin: 0x30,
  stdinEnd: 0x31,
  stdout: 0x32,
  stderr: 0x33,
  signal: 0x34,
  stdinCredit: 0x35,
} as const;

/** Stdin that a command's stream takes before the first credit, in bytes. */
export const STDIN_WINDOW_BYTES = 262_144;

const Nonce = z
  .string()
  .regex(/^[A-Za-z0-9_-]{22}$/)
  .describe("Names one expected connection; used once");
const ViewerId = z.string().regex(/^[a-z0-9_]{1,60}$/);
const Cells = z.int().min(1).max(10_000);
/** Far beyond any terminal's life, and far enough from where numbers lose precision. */
const Offset = z
  .int()
  .min(0)
  .max(2 ** 50);

const CreateTerminal = z.strictObject({
  kind: z.literal("terminal"),
  action: z.literal("create"),
  terminal: TerminalId,
  viewer: ViewerId,
  argv: Argv.nullable().describe("null: an interactive shell"),
  cwd: WireCwd.nullable(),
  env: WireEnv,
  cols: Cells,
  rows: Cells,
  scrollbackBytes: z.int().min(4096).max(16_777_216),
  maxTerminals: z.int().min(1).max(256),
});
const AttachTerminal = z.strictObject({
  kind: z.literal("terminal"),
  action: z.literal("attach"),
  terminal: TerminalId,
  viewer: ViewerId,
  mode: z.enum(["control", "observe"]),
  take: z.boolean(),
  from: z.union([z.strictObject({ resume: Offset }), z.strictObject({ scrollback: Offset })]),
  cols: Cells.nullable(),
  rows: Cells.nullable(),
});
const ExecCommand = z.strictObject({
  kind: z.literal("exec"),
  argv: Argv,
  cwd: WireCwd.nullable(),
  env: WireEnv,
  stdin: z.boolean(),
});

const DialPort = z.strictObject({
  kind: z.literal("dial"),
  port: z.int().min(1).max(65_535).describe("A port of the machine's own loopback"),
});

/** What a stream is for. */
export const StreamOpen = z.union([CreateTerminal, AttachTerminal, ExecCommand, DialPort, FilesOpen]);
export type StreamOpen = z.infer<typeof StreamOpen>;
export type TerminalOpen = Extract<StreamOpen, { kind: "terminal" }>;
export type ExecOpen = Extract<StreamOpen, { kind: "exec" }>;
export type DialOpen = Extract<StreamOpen, { kind: "dial" }>;

/**
 * First frame on every connection from the guest: the control connection, the stream that a nonce stands for, or one
 * connection out of the machine, on which raw bytes follow both ways.
 */
export const ConnectionHello = z.discriminatedUnion("connection", [
  z.strictObject({
    connection: z.literal("control"),
    protocols: z.array(z.int().min(1).max(1000)).min(1).max(8),
    instance: z
      .string()
      .regex(/^[a-z0-9]{8,40}$/)
      .describe("Changes when the guest starts anew"),
    pid: z.int().min(1),
    runtime: z.string().max(40).describe("Version of the guest's Node"),
    build: z.string().max(80).describe("Version of the guest"),
  }),
  z.strictObject({ connection: z.literal("stream"), nonce: Nonce }),
  z.strictObject({ connection: z.literal("egress") }),
]);
export type ConnectionHello = z.infer<typeof ConnectionHello>;

/** What the guest says of itself. */
export type GuestHello = Omit<
  Extract<ConnectionHello, { connection: "control" }>,
  "connection" | "protocols"
> & {
  readonly protocol: number;
};

/** How the guest is. */
export const GuestHealth = z.strictObject({
  uptimeSeconds: z.number().min(0),
  rssBytes: z.int().min(0),
  terminals: z.int().min(0).max(1024).describe("Terminals whose program runs"),
  commands: z.int().min(0).max(65_536),
  pipes: z.boolean().describe("Whether commands get pipes; socket pairs otherwise"),
});
export type GuestHealth = z.infer<typeof GuestHealth>;

/** A terminal, as reported by the machine. */
export const TerminalInfo = z.strictObject({
  id: TerminalId,
  program: z.string().max(200),
  cols: Cells,
  rows: Cells,
  offset: Offset.describe("Length of the output so far"),
  oldest: Offset.describe("Oldest byte that is still kept"),
  viewers: z.int().min(0).max(1024),
  controller: ViewerId.nullable(),
  exit: ExitStatus.nullable().describe("null while the program runs"),
});
export type TerminalInfo = z.infer<typeof TerminalInfo>;

/** What the bridge sends on the control connection. */
export const ControlFromBridge = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("welcome"), protocol: z.int().min(1).max(1000) }),
  z.strictObject({ type: z.literal("open"), nonce: Nonce, open: StreamOpen }),
  z.strictObject({
    type: z.literal("egress"),
    listen: z.boolean().describe("Whether the guest serves the machine's egress port (from protocol 3 on)"),
  }),
  z.strictObject({ type: z.literal("ask"), id: z.int().min(1), what: z.enum(["health", "terminals"]) }),
]);
export type ControlFromBridge = z.infer<typeof ControlFromBridge>;

/** What the guest sends on the control connection: answers, and nothing that was not asked for. */
export const ControlFromGuest = z.discriminatedUnion("what", [
  z.strictObject({ what: z.literal("health"), id: z.int().min(1), health: GuestHealth }),
  z.strictObject({
    what: z.literal("terminals"),
    id: z.int().min(1),
    terminals: z.array(TerminalInfo).max(512),
  }),
]);
export type ControlFromGuest = z.infer<typeof ControlFromGuest>;

/** The guest could not do what a stream was opened for. */
export const StreamFailed = z.strictObject({
  code: z.enum([
    "COMMAND_NOT_FOUND",
    "PORT_CLOSED",
    "PATH_NOT_FOUND",
    "PATH_NOT_ALLOWED",
    "TERMINAL_NOT_FOUND",
    "TERMINAL_LIMIT",
    "PROCESS_LIMIT",
    "INPUT_INVALID",
    "INTERNAL",
  ]),
  message: z.string().max(4000),
});
export type StreamFailed = z.infer<typeof StreamFailed>;

/** A terminal is attached; its output follows from `offset` on. */
export const TerminalStarted = z.strictObject({
  terminal: TerminalId,
  role: TerminalRole,
  controller: ViewerId.nullable(),
  offset: Offset,
  cols: Cells,
  rows: Cells,
});
export type TerminalStarted = z.infer<typeof TerminalStarted>;

/** A command runs. */
export const ExecStarted = z.strictObject({
  pid: z.int().min(1),
  stdinWindow: z.int().min(0).max(1_048_576),
});
export type ExecStarted = z.infer<typeof ExecStarted>;

/** A port is connected; raw bytes follow both ways. */
export const PortDialled = z.strictObject({});

/** Output in `[from, to)` was overwritten before this viewer got it. */
export const Gap = z.strictObject({ from: Offset, to: Offset });

/** Size of a terminal, in either direction. */
export const Size = z.strictObject({ cols: Cells, rows: Cells });
export type Size = z.infer<typeof Size>;

/** From the guest: who controls. */
export const RoleChange = z.strictObject({ role: TerminalRole, controller: ViewerId.nullable() });
export type RoleChange = z.infer<typeof RoleChange>;

/** From the bridge: take or release control. */
export const RoleRequest = z.strictObject({ want: z.enum(["control", "observe"]) });

/** From the bridge: a signal for a command's process group. */
export const SignalRequest = z.strictObject({ signal: ExecSignal });

export { ExitStatus };

const message = (name: string, max: number): FrameRule => ({ name, min: 2, max, streamed: false });
const data = (name: string): FrameRule => ({ name, min: 1, max: MAX_DATA_BYTES, streamed: true });

/** First frame of a connection. */
export const HELLO_RULES: FrameRules = new Map([[FRAME.hello, message("hello", 4096)]]);

/** Control frames that the bridge accepts. */
export const CONTROL_FROM_GUEST_RULES: FrameRules = new Map([[FRAME.control, message("control", 524_288)]]);

/** Control frames that the guest accepts. */
export const CONTROL_FROM_BRIDGE_RULES: FrameRules = new Map([
  [FRAME.control, message("control", 2_097_152)],
]);

/** Frames of a terminal's stream that the bridge accepts. */
export const TERMINAL_FROM_GUEST_RULES: FrameRules = new Map([
  [FRAME.started, message("started", 4096)],
  [FRAME.failed, message("failed", 16_384)],
  [FRAME.exit, message("exit", 4096)],
  [FRAME.output, data("output")],
  [FRAME.gap, message("gap", 4096)],
  [FRAME.resize, message("resize", 4096)],
  [FRAME.role, message("role", 4096)],
]);

/** Frames of a terminal's stream that the guest accepts. */
export const TERMINAL_FROM_BRIDGE_RULES: FrameRules = new Map([
  [FRAME.input, data("input")],
  [FRAME.resize, message("resize", 4096)],
  [FRAME.role, message("role", 4096)],
]);

/** Frames of a command's stream that the bridge accepts. */
export const EXEC_FROM_GUEST_RULES: FrameRules = new Map([
  [FRAME.started, message("started", 4096)],
  [FRAME.failed, message("failed", 16_384)],
  [FRAME.exit, message("exit", 4096)],
  [FRAME.stdout, data("stdout")],
  [FRAME.stderr, data("stderr")],
  [FRAME.stdinCredit, { name: "stdin-credit", min: 4, max: 4, streamed: false }],
]);

/** Frames of a command's stream that the guest accepts. */
export const EXEC_FROM_BRIDGE_RULES: FrameRules = new Map([
  [FRAME.stdin, data("stdin")],
  [FRAME.stdinEnd, { name: "stdin-end", min: 0, max: 0, streamed: false }],
  [FRAME.signal, message("signal", 4096)],
]);

/** The one frame of a dialled port's stream; after it there are raw bytes. */
export const DIAL_FROM_GUEST_RULES: FrameRules = new Map([
  [FRAME.started, message("started", 4096)],
  [FRAME.failed, message("failed", 16_384)],
]);

/** Checks a decoded message against its schema; a mismatch is a GUEST_PROTOCOL error that names the field. */
export function expectShape<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new DoorwardError({
    code: "GUEST_PROTOCOL",
    message: `Cannot read ${what}: "${issue?.path.join(".") ?? ""}" ${issue?.message ?? "is wrong"}`,
  });
}
