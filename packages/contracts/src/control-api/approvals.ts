import * as z from "zod";
import { ApprovalId, RecordMachine } from "../evidence/common.ts";
import { Duration, Sha256, Subject, Timestamp } from "../text.ts";
import { route } from "./route.ts";

/** A pending decision with the full effect that it would have. */
export const PendingApproval = z.strictObject({
  id: ApprovalId,
  operation: z.string().max(80).describe("The operation that needs approval"),
  requestedBy: Subject,
  machine: RecordMachine.nullable().describe("The machine that it is asked from; null when none"),
  title: z.string().max(300).describe("What is asked, in one line, control characters escaped"),
  lines: z
    .array(z.string().max(2000))
    .max(2000)
    .describe("The full effect, line by line, control characters escaped"),
  digest: Sha256.describe("Digest of everything that is shown; an approval names it"),
  lasting: z.boolean().describe("Whether it can be approved for a time"),
  requestedAt: Timestamp.describe("When it was asked"),
  expiresAt: Timestamp.describe("When it is refused by itself"),
});
export type PendingApproval = z.infer<typeof PendingApproval>;

const ById = z.strictObject({ approval: ApprovalId });

/** Routes of pending decisions; only the operator, on the bridge's own socket, decides. */
export const APPROVAL_ROUTES = {
  "approvals.list": route({
    method: "GET",
    path: "/v1/approvals",
    access: "operator",
    summary: "Pending decisions, oldest first",
    result: z.strictObject({ approvals: z.array(PendingApproval).max(1000) }),
  }),
  "approvals.watch": route({
    method: "GET",
    path: "/v1/approvals/watch",
    access: "operator",
    summary: "Pending decisions, told anew whenever they change, until the caller goes away",
    event: z.strictObject({ approvals: z.array(PendingApproval).max(1000) }),
    result: z.strictObject({ ended: z.string().max(300).describe("Why the watch ended") }),
    answer: "ndjson",
  }),
  "approvals.approve": route({
    method: "POST",
    path: "/v1/approvals/{approval}/approve",
    access: "operator",
    summary: "Approve exactly what was shown, once or for a time",
    params: ById,
    body: z.strictObject({
      digest: Sha256.describe("Digest of what was shown; refused when something else is asked by now"),
      for: Duration.optional().describe("How long it holds for exactly this shape; once when absent"),
      where: z
        .enum(["command", "notification", "editor", "console"])
        .optional()
        .describe("Where it was decided; a command when absent"),
    }),
    result: z.strictObject({
      id: ApprovalId,
      expiresAt: Timestamp.nullable().describe("Until when it holds; null for once"),
    }),
  }),
  "approvals.deny": route({
    method: "POST",
    path: "/v1/approvals/{approval}/deny",
    access: "operator",
    summary: "Refuse; the refusal is final for what asked",
    params: ById,
    body: z.strictObject({
      reason: z.string().max(500).optional().describe("Why, for whoever asked"),
      where: z
        .enum(["command", "notification", "editor", "console"])
        .optional()
        .describe("Where it was decided; a command when absent"),
    }),
    result: z.strictObject({ id: ApprovalId }),
  }),
} as const;
