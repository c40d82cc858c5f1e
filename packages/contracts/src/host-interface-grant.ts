import * as z from "zod";
import { TOOL_NAMES, ToolName } from "./agent-tools.ts";
import { documentHead, urnOf } from "./document-head.ts";
import { ActionCapability } from "./host-actions/capabilities.ts";
import { ContractOperation, DoorName, InterfaceKind, Operation } from "./operations.ts";
import { GrantId, HostPath, MachineId, Sha256, Subject, Timestamp } from "./text.ts";

/** A time-limited, revocable permission of a subject to use doors of one machine. */
export const HostInterfaceGrant = z
  .strictObject({
    ...documentHead("HostInterfaceGrant", "host-interface-grant"),
    grantId: GrantId,
    subject: Subject,
    workspaceRef: urnOf("agent-machine-workspace", "workspace").describe(
      "URN of the workspace, which is the machine's",
    ),
    machine: MachineId,
    doors: z.array(InterfaceKind).min(1).max(8).describe("Doors that may be opened"),
    operations: z.array(ContractOperation).min(1).max(64).describe("Operations that may be done at them"),
    repoPaths: z.array(HostPath).max(64).describe("Resolved host paths that the grant covers"),
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
      .describe("Tools of the agent-tool door that may be called; those of its operations when absent"),
    issuedAt: Timestamp,
    issuedBy: Subject.describe("Who had it minted"),
    expiresAt: Timestamp,
    policyHash: Sha256.describe("Policy under which it was minted"),
    revocationRef: urnOf("revocation").describe("Where its revocation is recorded"),
    parent: GrantId.nullable().describe("Grant it was narrowed from; null for one that the operator minted"),
  })
  .describe("Who may use which doors of which machine, for what, on which paths, until when");
export type HostInterfaceGrant = z.infer<typeof HostInterfaceGrant>;

/** A HostInterfaceGrant as this build makes and keeps it: for doors and operations that it serves, and no others. */
export const ServedGrant = z
  .strictObject({
    ...HostInterfaceGrant.shape,
    doors: z.array(DoorName).min(1).max(8).describe("Doors that may be opened"),
    operations: z.array(Operation).min(1).max(64).describe("Operations that may be done at them"),
  })
  .describe("A HostInterfaceGrant for doors and operations that this build serves");
export type ServedGrant = z.infer<typeof ServedGrant>;

/** State of a grant as the bridge sees it now. */
export const GrantStatus = z.enum(["active", "expired", "revoked"]).describe("State of the grant");
export type GrantStatus = z.infer<typeof GrantStatus>;
