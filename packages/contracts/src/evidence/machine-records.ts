import * as z from "zod";
import { AgentMachineFingerprint } from "../agent-machine-fingerprint.ts";
import { Sha256, Timestamp } from "../text.ts";
import { Count, Note, RecordMachine, Reference, recordFields } from "./common.ts";

/** A machine was started, with the fingerprint of what really runs; durable before any door opens. */
export const LaunchPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  trigger: z.enum(["up", "start", "run"]).describe("Which command launched it"),
  expiresAt: Timestamp.nullable().describe("When its time to live ends; null without one"),
  durationMs: Count.describe("Milliseconds from the request until the guest answered"),
  fingerprint: AgentMachineFingerprint.describe("What really runs, with every input that makes it"),
  mountEvidence: Reference.optional().describe(
    "The AgentMachineMountEvidence of this launch by digest; only records of older builds have none",
  ),
});

/** A machine ended, and why. */
export const MachineEndPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  reason: z
    .enum(["stopped", "expired", "removed", "drift", "crashed", "reboot", "reaped"])
    .describe(
      "Why it ended: by command, time to live, removal, drift from what was intended, a crash, a reboot, or as a leftover",
    ),
  exitCode: z.int().nullable().describe("Exit code of its first process; null when unknown"),
  fingerprint: Sha256.nullable().describe(
    "Digest of the fingerprint it ran under; null when it never had one",
  ),
  detail: Note.nullable().describe("What differed or failed; null when there is nothing to add"),
});

/** A running machine got more time; durable before it has it. */
export const MachineExtendPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  previousExpiresAt: Timestamp.describe("When its time to live would have ended"),
  expiresAt: Timestamp.describe("When it ends now"),
});

/** Changes of a review machine were brought back to the host. */
export const ReviewPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  outcome: z.enum(["branch", "patch", "discarded", "refused"]).describe("What became of the changes"),
  base: z
    .string()
    .regex(/^[a-f0-9]{40,64}$/)
    .describe("Commit that the changes start from"),
  head: z
    .string()
    .regex(/^[a-f0-9]{40,64}$/)
    .nullable()
    .describe("Last commit of the changes; null when there is none"),
  target: z
    .string()
    .max(250)
    .nullable()
    .describe("Name of the branch or patch file; null when none was made"),
  changes: Reference.nullable().describe("The fetched bundle or patch by digest; null when none"),
  files: Count.describe("Files changed"),
  insertions: Count.describe("Lines added"),
  deletions: Count.describe("Lines removed"),
});
