import * as z from "zod";
import { TOOL_NAMES, ToolName } from "../agent-tools.ts";
import { ActionCapability } from "../host-actions/capabilities.ts";
import { GrantStatus, ServedGrant } from "../host-interface-grant.ts";
import { DoorName, Operation } from "../operations.ts";
import { PolicyGrantRule } from "../policy.ts";
import { Duration, GrantId, Subject, Timestamp } from "../text.ts";
import { route } from "./route.ts";

/** A grant with its state. The token is there only in the answer that made it. */
export const GrantView = z
  .strictObject({
    grant: ServedGrant,
    status: GrantStatus,
    implicit: z
      .boolean()
      .describe("Whether it was minted for one command of the operator and dies with its connection"),
    revokedAt: Timestamp.nullable().describe("When it was revoked"),
    revokedReason: z.string().max(300).nullable().describe("Why it was revoked"),
    machineName: z.string().max(60).nullable().describe("Name of its machine; null once removed"),
    lastUsedAt: Timestamp.nullable().describe("When it was last used"),
  })
  .describe("A grant with its state");
export type GrantView = z.infer<typeof GrantView>;

/** A new grant with its token, which is shown this once. */
export const MintedGrant = z.strictObject({
  ...GrantView.shape,
  token: z.string().max(200).describe("Bearer token; shown once, stored only as a hash"),
});
export type MintedGrant = z.infer<typeof MintedGrant>;

/** What `doorward grant create` asks for. */
export const GrantRequest = z
  .strictObject({
    machine: z.string().min(1).max(60).describe("Name or id of the machine"),
    subject: Subject,
    doors: z.array(DoorName).min(1).max(8).optional().describe("Doors; those of the operations when absent"),
    operations: z.array(Operation).min(1).max(64).describe("Operations"),
    paths: z
      .array(z.string().min(1).max(4096))
      .max(64)
      .optional()
      .describe("Host paths; the machine's repos when absent"),
    capabilities: z
      .array(ActionCapability)
      .max(64)
      .optional()
      .describe("Actions on the host that may be asked for; none when absent"),
    tools: z
      .array(ToolName)
      .min(1)
      .max(TOOL_NAMES.length)
      .optional()
      .describe("Tools of the agent-tool door that may be called; those of the operations when absent"),
    for: Duration.describe("How long"),
    rule: PolicyGrantRule.optional().describe(
      "Rule that is added to the policy where none covers the grant, and only if the grant is given with it",
    ),
  })
  .describe("What a new grant is asked for with");
export type GrantRequest = z.infer<typeof GrantRequest>;

/** How a child grant is narrower than its parent; what is left out stays. */
export const NarrowRequest = z.strictObject({
  subject: Subject.optional(),
  doors: z.array(DoorName).min(1).max(8).optional(),
  operations: z.array(Operation).min(1).max(64).optional(),
  paths: z.array(z.string().min(1).max(4096)).max(64).optional(),
  capabilities: z.array(ActionCapability).max(64).optional(),
  tools: z.array(ToolName).min(1).max(TOOL_NAMES.length).optional(),
  for: Duration.optional(),
});
export type NarrowRequest = z.infer<typeof NarrowRequest>;

const ByGrant = z.strictObject({ grant: GrantId });

/** Routes of grants. A grant's holder may show and narrow its own grant and those made from it, and revoke them. */
export const GRANT_ROUTES = {
  "grants.create": route({
    method: "POST",
    path: "/v1/grants",
    access: "operator",
    summary: "Mint a grant",
    body: GrantRequest,
    result: MintedGrant,
  }),
  "grants.list": route({
    method: "GET",
    path: "/v1/grants",
    access: "grant",
    summary: "Grants; for a holder, its own and those made from it",
    query: z.strictObject({ all: z.enum(["true", "false"]).optional().describe("Ended ones too") }),
    result: z.strictObject({ grants: z.array(GrantView) }),
  }),
  "grants.get": route({
    method: "GET",
    path: "/v1/grants/{grant}",
    access: "grant",
    summary: "One grant",
    params: ByGrant,
    result: GrantView,
  }),
  "grants.narrow": route({
    method: "POST",
    path: "/v1/grants/{grant}/narrow",
    access: "grant",
    summary: "Mint a narrower child",
    params: ByGrant,
    body: NarrowRequest,
    result: MintedGrant,
  }),
  "grants.renew": route({
    method: "POST",
    path: "/v1/grants/{grant}/renew",
    access: "operator",
    summary: "Give a live grant a new expiry, from now",
    params: ByGrant,
    body: z.strictObject({ for: Duration }),
    result: GrantView,
  }),
  "grants.revoke": route({
    method: "POST",
    path: "/v1/grants/{grant}/revoke",
    access: "grant",
    summary: "Revoke a grant and all made from it; live sockets are cut",
    params: ByGrant,
    body: z.strictObject({ reason: z.string().max(300).optional() }),
    result: z.strictObject({ revoked: z.array(GrantId), closedSockets: z.int() }),
  }),
} as const;
