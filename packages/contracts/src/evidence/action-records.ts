import * as z from "zod";
import { HostPath, MachinePath, SessionId, Sha256 } from "../text.ts";
import {
  ApprovalId,
  Code,
  CorrelationId,
  Count,
  KeyedDigest,
  Note,
  RecordMachine,
  RecordPlugin,
  Word,
  beganAt,
  recordFields,
} from "./common.ts";

const program = z.string().min(1).max(255).nullable().describe("Basename of the program; null when none ran");
const exitCode = z.int().nullable().describe("Exit code; null when nothing exited by itself");
const approval = ApprovalId.nullable().describe("The decision it ran under; null when none was needed");

/** A plugin that asks with a grant is known by its id alone; one that runs from a verified bundle by all three. */
const askingPlugin = z
  .strictObject({
    id: RecordPlugin.shape.id,
    version: RecordPlugin.shape.version.nullable().describe("Its version; null when no bundle was verified"),
    digest: RecordPlugin.shape.digest
      .nullable()
      .describe("SHA-256 of its artefact; null when no bundle was verified"),
  })
  .nullable()
  .describe("The plugin that asked; null when none did");

/** Names of the decisions that the contract of host actions knows, and of those that need no person. */
const confirmation = z
  .enum(["not-needed", "policy", "approved", "session-approved", "denied", "expired"])
  .describe(
    "How it was confirmed: not needed (a dry run, or the scope says so), by a policy line naming exactly this, by a person, by a person for a while and this shape, or not",
  );

/** A tool was called by an agent's client; what it was given and what it answered is there by digest alone. */
export const ToolCallPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  session: SessionId.nullable().describe("The session that called; null when none"),
  door: Word.describe("The door"),
  client: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{0,39}$/)
    .nullable()
    .describe("Kind of client, e.g. codex; null when it did not say"),
  transport: z.enum(["http", "websocket", "stdio", "pipe", "internal"]).describe("How the call came"),
  execution: z.enum(["operator", "agent"]).describe("Whether a person or an agent acts"),
  tool: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$/)
    .describe("Id of the tool"),
  registryGrant: z
    .string()
    .min(1)
    .max(300)
    .nullable()
    .describe("The registry grant it was allowed by (registryGrantRef); null when none is asked for"),
  effect: z
    .enum(["reads", "changes", "runs", "acts"])
    .describe("What the tool declares: reads, changes files, runs a program, or acts on the host"),
  arguments: KeyedDigest.describe("Keyed digest of the canonical JSON of its arguments"),
  program,
  target: MachinePath.nullable().describe("Path in the machine that it worked on; null when none"),
  outcome: z
    .enum(["completed", "failed", "refused", "pending", "cancelled", "timed-out", "cut", "bridge-lost"])
    .describe(
      "How it ended; pending when it waits for approval; bridge-lost when nobody knows, because the bridge was lost before it could record it",
    ),
  code: Code.nullable().describe("Error code; null when it completed"),
  result: KeyedDigest.nullable().describe("Keyed digest of its result; null when there was none"),
  resultBytes: Count.describe("Bytes of its result"),
  exitCode: z
    .int()
    .nullable()
    .describe(
      "Exit code, or 128 and the number of the signal that killed it; null when it runs, or none ended by itself",
    ),
  durationMs: Count.describe("Milliseconds that it took"),
  approval,
  beganAt,
});

/** The step of a workflow that a host action record is about. */
export const WorkflowStep = z.strictObject({
  index: Count.describe("Place of the step, from 0"),
  id: z.string().min(1).max(120).describe("Id of the step"),
  title: z.string().max(200).describe("Title of the step"),
  status: z
    .enum(["pending", "running", "succeeded", "failed", "skipped", "cancelled"])
    .describe("Where the step stands"),
  correlationId: CorrelationId.nullable().describe("The step's own correlation id; null when it has none"),
  confirmation,
});

/** The workflow that a host action record is about. */
export const RecordWorkflow = z.strictObject({
  id: z.string().min(1).max(160).describe("Id of the workflow"),
  title: z.string().max(200).describe("Its title"),
  kind: Word.describe("Its kind, e.g. process-sequence"),
  status: z
    .enum(["pending", "running", "succeeded", "failed", "aborted", "cancelled", "interrupted"])
    .describe("Where the workflow stands"),
  step: WorkflowStep.nullable().describe("The step; null for the workflow as a whole"),
});

/**
 * A privileged action on the host: one record when it begins, durable before anything happens, one for each step of a
 * workflow, and one when it has ended. Clipboard text, file contents and process output are there as digests and lengths alone.
 */
export const HostActionPredicate = z.strictObject({
  ...recordFields,
  event: z.enum(["began", "step", "ended"]).describe("It begins, a step of its workflow ended, or it ended"),
  action: z
    .enum([
      "system.clipboard.read",
      "system.clipboard.write",
      "system.hosts.write",
      "system.fs.mutate",
      "system.process.exec",
      "system.workflow.run",
    ])
    .describe("The action"),
  via: z.enum(["command", "api", "agent-tool", "plugin"]).describe("The way it was asked for"),
  plugin: askingPlugin,
  capabilities: z.array(z.string().min(1).max(120)).max(20).describe("Capabilities that it needs"),
  scope: z.string().min(1).max(120).nullable().describe("Id of the scope; null for actions without one"),
  scopeVersion: Sha256.nullable().describe("Digest of the scope as it was in force; null without one"),
  dryRun: z.boolean().describe("Whether only the plan was asked for"),
  reason: Note.nullable().describe("Why, in the asker's words; null when none was given"),
  request: KeyedDigest.describe("Keyed digest of the request"),
  plan: KeyedDigest.nullable().describe("Keyed digest of the plan that was shown; null when none was made"),
  decision: z.enum(["allowed", "denied"]).describe("Whether capabilities and scope allow it"),
  confirmation,
  approval,
  outcome: z
    .enum(["pending", "succeeded", "failed", "refused", "cancelled", "timed-out", "interrupted"])
    .describe("How it ended; pending while it runs; interrupted when the bridge died in it"),
  code: Code.nullable().describe("Error code of the answer; null when it succeeded or runs"),
  violation: Word.nullable().describe("Reason of a scope violation; null when there is none"),
  program,
  arguments: KeyedDigest.nullable().describe("Keyed digest of argv; null when no program runs"),
  argumentCount: Count.describe("Length of argv; 0 when no program runs"),
  cwd: HostPath.nullable().describe("Working folder on the host; null when none"),
  target: HostPath.nullable().describe("The file or folder that it is about; null when none or several"),
  operationCount: Count.describe("File operations, hosts records or steps that it has"),
  before: KeyedDigest.nullable().describe("Keyed digest of what it changes, before; null when not known"),
  after: KeyedDigest.nullable().describe("Keyed digest of what it changed, after; null when nothing changed"),
  bytes: Count.describe("Bytes read from or written to clipboard or files"),
  result: KeyedDigest.nullable().describe("Keyed digest of the answer; null when there is none"),
  exitCode,
  stdoutBytes: Count.describe("Bytes on standard output"),
  stderrBytes: Count.describe("Bytes on standard error"),
  durationMs: Count.describe("Milliseconds since it was asked for"),
  workflow: RecordWorkflow.nullable().describe("The workflow; null for a single action"),
});
