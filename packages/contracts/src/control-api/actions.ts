import * as z from "zod";
import { ApprovalId } from "../evidence/common.ts";
import { HOST_ACTIONS, ScopeId } from "../host-actions/requests.ts";
import { HostActionResponse } from "../host-actions/responses.ts";
import { GrantId, Subject, Timestamp } from "../text.ts";
import { route } from "./route.ts";

/** Id of one request for an action, made by the bridge; correlation ids are the asker's and need not be unique. */
export const ActionId = z
  .string()
  .regex(/^h_[a-z0-9]{10,32}$/)
  .describe("Id of the request, made by the bridge");

const Code = z.string().max(80).nullable().describe("Code of the failure; null when there is none");

/** One step of a workflow as far as it came; what its program wrote is not kept. */
export const ActionStep = z.strictObject({
  stepId: ScopeId,
  title: z.string().max(200).describe("Its title"),
  status: z
    .enum(["pending", "running", "completed", "failed", "skipped", "interrupted"])
    .describe("How far it came; interrupted when the bridge ended while it ran"),
  correlationId: z.string().max(400).describe("Correlation id of the step"),
  exitCode: z.int().nullable().describe("Exit code; null when its program has not exited by itself"),
  code: Code,
  durationMs: z.int().min(0).nullable().describe("How long it ran; null when it did not"),
});
export type ActionStep = z.infer<typeof ActionStep>;

/** How far a request came, also after the bridge was killed in the middle of it. */
export const ActionReport = z.strictObject({
  id: ActionId,
  subject: Subject.describe("Who asked"),
  grant: GrantId.nullable().describe("The grant it was asked under; null for the operator on his own socket"),
  correlationId: z.string().max(400).describe("Correlation id, as the asker gave it"),
  action: z.enum(HOST_ACTIONS).describe("The action"),
  scope: z.string().max(80).nullable().describe("Its scope; null for actions without one"),
  state: z
    .enum(["waiting", "running", "ended", "interrupted"])
    .describe("Whether it waits for a decision, runs, has ended, or was cut by the end of the bridge"),
  outcome: z
    .enum(["succeeded", "failed", "refused", "cancelled", "timed-out", "interrupted"])
    .nullable()
    .describe("How it ended; null until then"),
  code: Code,
  approval: ApprovalId.nullable().describe("The decision it runs under; null when none was asked for"),
  startedAt: Timestamp.describe("When it was asked for"),
  endedAt: Timestamp.nullable().describe("When it ended; null until then"),
  operationCount: z.int().min(0).describe("File operations, records or steps that it has"),
  applied: z
    .int()
    .min(0)
    .nullable()
    .describe(
      "File operations that were done before the bridge ended; null when it did not, or is not known",
    ),
  workflow: z
    .strictObject({
      id: z.string().max(200).describe("Id of this run"),
      title: z.string().max(200).describe("Its title"),
      steps: z.array(ActionStep).max(50).describe("Its steps, in order"),
    })
    .nullable()
    .describe("The workflow; null for a single action"),
});
export type ActionReport = z.infer<typeof ActionReport>;

/** What is told while an action goes on. */
export const ActionEvent = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("accepted").describe("It was allowed and planned"),
    id: ActionId,
    correlationId: z.string().max(400).describe("Correlation id of the request"),
  }),
  z.strictObject({
    kind: z.literal("waiting").describe("It waits until a person on the host decides"),
    approval: ApprovalId,
    seconds: z.int().min(1).describe("After how many seconds it is refused by itself"),
  }),
  z.strictObject({ kind: z.literal("running").describe("It runs") }),
  z.strictObject({
    kind: z.literal("step").describe("A step of its workflow began or ended"),
    index: z.int().min(0).describe("Place of the step, from 0"),
    total: z.int().min(1).describe("Steps in all"),
    step: ActionStep,
  }),
]);
export type ActionEvent = z.infer<typeof ActionEvent>;

/** Largest body of a request, in bytes. */
export const ACTION_BODY_BYTES = 12_582_912;

/** Routes of privileged actions on the host. What a refusal or failure means stands in the answer, which is always 200. */
export const ACTION_ROUTES = {
  "actions.run": route({
    method: "POST",
    path: "/v1/actions",
    access: "grant",
    summary: "Do, or with dryRun plan, a privileged action on the host",
    body: z.unknown().describe("The request, in one of the five envelope shapes"),
    result: HostActionResponse,
    event: ActionEvent,
    answer: "ndjson",
    bodyBytes: ACTION_BODY_BYTES,
  }),
  "actions.list": route({
    method: "GET",
    path: "/v1/actions",
    access: "grant",
    summary: "Newest requests for actions; for a grant, its own",
    result: z.strictObject({ actions: z.array(ActionReport).max(1000) }),
  }),
  "actions.get": route({
    method: "GET",
    path: "/v1/actions/{action}",
    access: "grant",
    summary: "How far one request came; for a grant, its own",
    params: z.strictObject({ action: ActionId }),
    result: ActionReport,
  }),
} as const;
