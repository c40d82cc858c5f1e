import * as z from "zod";
import { Sha256, Subject, Timestamp } from "../text.ts";
import { ApprovalId, Code, Count, KeyedDigest, Note, Word, recordFields } from "./common.ts";

const code = Code.describe("Error code of the refusal");

/** A request of a known caller was refused. */
export const DenialPredicate = z.strictObject({
  ...recordFields,
  attempted: Word.describe("What was asked for, e.g. machine.launch, door.open, grant.mint"),
  code,
  rule: z
    .string()
    .max(200)
    .nullable()
    .describe("The rule that refused, e.g. policy.paths.deny[ssh]; null when it has no name"),
  door: Word.nullable().describe("The door; null when none"),
  operation: Word.nullable().describe("The operation; null when none"),
  target: z
    .string()
    .max(4096)
    .nullable()
    .describe("The path, host or object that was asked for; null when none"),
});

/** Refusals of callers who showed no valid token, and of known ones over their rate, counted so that nobody can fill the log. */
export const DenialsPredicate = z.strictObject({
  ...recordFields,
  from: Timestamp.describe("When counting began"),
  to: Timestamp.describe("When counting ended"),
  total: Count.describe(
    "All refusals that this record counts; more than its rows say where they did not fit",
  ),
  counts: z
    .array(
      z.strictObject({
        code,
        door: Word.nullable().describe("The door; null when none"),
        subject: Subject.optional().describe(
          "Who was refused more often in that time than records of its own are kept; absent for callers without a valid token",
        ),
        count: Count,
      }),
    )
    .max(100)
    .describe(
      "Refusals by code, door and known caller, known ones first. A minute with more kinds has up to ten records; what does not fit in those is only in the last one's total",
    ),
});

/** Somebody decided about a pending request; the record's subject is who decided. */
export const ApprovalPredicate = z.strictObject({
  ...recordFields,
  approval: ApprovalId,
  operation: Word.describe("The operation that needed approval"),
  requestedBy: Subject.describe("Who asked"),
  requestedAt: Timestamp.describe("When it was asked"),
  request: KeyedDigest.describe("Keyed digest of what was asked, exactly as it was shown"),
  shape: KeyedDigest.nullable().describe(
    "Keyed digest of the argument shape that the decision covers; null when it covers this request alone",
  ),
  decision: z.enum(["approved", "denied", "expired", "withdrawn"]).describe("What was decided"),
  expiresAt: Timestamp.nullable().describe(
    "Until when the decision holds; null when it holds for one use or refuses",
  ),
  where: z
    .enum(["command", "notification", "editor", "console", "policy", "time"])
    .describe(
      "Where it was decided: on the host by a person, by a line of the policy, or because time was over",
    ),
  reason: Note.nullable().describe("Why, in the decider's words; null when none was given"),
});

/** Another policy came into force. */
export const PolicyChangePredicate = z.strictObject({
  ...recordFields,
  previous: Sha256.nullable().describe("Digest of the policy before; null for the first"),
  next: Sha256.describe("Digest of the policy in force now"),
  source: z
    .enum(["file", "command", "first"])
    .describe("Whether the file was edited, a command changed it, or it is the first"),
  machinesCut: Count.describe("Machines that the new policy ended"),
  grantsCut: Count.describe("Grants that the new policy ended"),
});
