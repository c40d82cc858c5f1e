import * as z from "zod";
import { MachinePath, SessionId, Sha256 } from "../text.ts";
import { Code, Count, Note, RecordMachine, Reference, Word, beganAt, recordFields } from "./common.ts";

const execution = z.enum(["operator", "agent"]).describe("Whether a person or an agent acts");

/** A session at a door was opened; durable before the door gets the socket. */
export const SessionOpenPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  session: SessionId,
  door: Word.describe("The door"),
  operations: z.array(Word).max(200).describe("Operations that the session may use"),
  execution,
  via: z
    .enum(["socket", "tcp", "internal"])
    .describe("Over the bridge's own socket, loopback TCP, or from inside the bridge"),
  origin: z.string().max(300).nullable().describe("Origin header of a browser; null without one"),
  resumes: SessionId.nullable().describe("The session that this one continues; null for a new one"),
});

/** A session at a door ended. */
export const SessionClosePredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  session: SessionId,
  door: Word.describe("The door"),
  reason: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]{1,60}$/)
    .describe(
      "CLOSED, or the error code that the session was closed with; BRIDGE_LOST when its bridge was killed, and the next one recorded what it knew: then bytes are 0, and so is the time where nobody knows it",
    ),
  durationMs: Count.describe("Milliseconds that it was open"),
  bytesIn: Count.describe("Bytes from the client to the machine"),
  bytesOut: Count.describe("Bytes from the machine to the client"),
  exitCode: z
    .int()
    .nullable()
    .describe("Exit code of its program, as the machine reported it; null when it still runs"),
  transcript: Reference.nullable().describe("Its transcript by digest; null when none was kept"),
});

/**
 * A command ran in a machine. Arguments often hold secrets (tokens, passwords, URLs with credentials), so the record
 * has only the program's basename and a keyed digest that the bridge can compare with a command it is shown.
 */
export const CommandPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  session: SessionId.nullable().describe("The session that ran it; null when none"),
  program: z.string().min(1).max(255).describe("Basename of argv[0]"),
  argvDigest: Sha256.describe(
    "HMAC-SHA-256 over argv with a key only the bridge has, so that arguments can't be guessed from it",
  ),
  argumentCount: Count.describe("Length of argv"),
  cwd: MachinePath.nullable().describe("Working folder in the machine; null for the default"),
  execution,
  outcome: z
    .enum(["exited", "signalled", "not-started", "cut", "lost", "bridge-lost"])
    .describe(
      "How it ended, as the machine reported it; bridge-lost when nobody knows, because the bridge was lost before it could record it",
    ),
  exitCode: z.int().nullable().describe("Exit code; null when it did not exit by itself"),
  signal: z.string().max(20).nullable().describe("Signal that ended it; null when none"),
  durationMs: Count.describe("Milliseconds that it ran"),
  stdoutBytes: Count.describe("Bytes it wrote to standard output"),
  stderrBytes: Count.describe("Bytes it wrote to standard error"),
  detail: Note.nullable().describe("Why it did not start or was cut; null otherwise"),
  beganAt,
});

/** A connection to a port of a machine's loopback ended, or was not made. */
export const ForwardPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  session: SessionId,
  execution,
  port: z.int().min(1).max(65_535).describe("Port of the machine's loopback"),
  outcome: z
    .enum(["ended", "cut", "refused", "bridge-lost"])
    .describe(
      "Both directions ended in order; it broke off, on either side; it was never made; nobody knows, because the bridge was lost before it could record it",
    ),
  code: Code.nullable().describe("Error code of one that was cut or refused, where there is one"),
  durationMs: Count.describe("Milliseconds from the request to its end"),
  beganAt,
});

/** What a session did with a terminal; `created` tells who opened it, for as long as evidence is kept. */
export const TerminalPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  session: SessionId,
  execution,
  event: z
    .enum(["created", "attached", "observed", "control", "exited"])
    .describe("What happened; exited is as the machine reported it"),
  terminal: z.string().min(1).max(60).describe("Id of the terminal"),
  program: z.string().min(1).max(255).nullable().describe("Basename of its program; null for its shell"),
  argvDigest: Sha256.nullable().describe("Keyed digest of argv, as in a command record; null for its shell"),
  exitCode: z.int().nullable().describe("Exit code; null when it runs or was ended by a signal"),
  signal: z.string().max(20).nullable().describe("Signal that ended it; null when none"),
});
