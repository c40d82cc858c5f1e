import * as z from "zod";
import { TOOL_NAMES, ToolName } from "./agent-tools.ts";
import { AgentMachineProfileRef, documentHead } from "./document-head.ts";
import { AGENT_TOOL_OPERATIONS } from "./operations.ts";

/** Agent tools that a door can be opened to, in the estate's spelling. */
export const TOOL_IDS = [
  "openclaw",
  "hermes",
  "codex",
  "claude-code",
  "local-shell",
  "github-bot",
  "ci-bot",
] as const;
export const ToolId = z.enum(TOOL_IDS).describe("Id of an agent tool");
export type ToolId = z.infer<typeof ToolId>;

/** A grant of the Agent Registry that stands behind a tool. */
export const RegistryGrant = z.strictObject({
  toolId: ToolId,
  grantRef: z
    .string()
    .max(300)
    .regex(
      /^(?:grant:\/\/[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*|urn:srcos:(?:lease|agent-machine:agent-registry-grant):[A-Za-z0-9._~-]+)$/,
    )
    .describe(
      "Grant of the Agent Registry, as grant://... or the URN of its AgentRegistryGrant, or a lease's URN",
    ),
});
export type RegistryGrant = z.infer<typeof RegistryGrant>;

/** Which of the tools one kind of client may call; all that its operations allow when it is not listed. */
export const ToolAllowance = z.strictObject({
  toolId: ToolId,
  tools: z.array(ToolName).max(TOOL_NAMES.length).describe("Tools that it may call, by name"),
});
export type ToolAllowance = z.infer<typeof ToolAllowance>;

/** Which tools agents may use, for what, under which registry grants: the policy part of an AgentToolDoor. */
export const AgentToolDoorSpec = z.strictObject({
  toolIds: z.array(ToolId).min(1).max(TOOL_IDS.length).describe("Tools that may use the door"),
  allowedOperations: z
    .array(z.enum(AGENT_TOOL_OPERATIONS))
    .min(1)
    .max(AGENT_TOOL_OPERATIONS.length)
    .describe("What they may do, by effect"),
  toolAllowances: z
    .array(ToolAllowance)
    .max(TOOL_IDS.length)
    .default([])
    .describe("Which of the door's tools each kind of client may call; all for those that are not listed"),
  approvalRequired: z
    .array(ToolName)
    .max(TOOL_NAMES.length)
    .default([])
    .describe("Tools of which each call waits for the operator's decision on the host"),
  registryGrantRefs: z
    .array(RegistryGrant)
    .max(100)
    .describe(
      "Agent Registry grants behind the tools: where there are any, a tool without one is refused; empty where no registry is used",
    ),
  hostMutationPolicy: z
    .enum(["deny", "dry-run-only", "approval-required", "preapproved"])
    .describe("What tools may change on the host"),
  agentPlaneEvidence: z
    .strictObject({
      required: z.literal(true).describe("No side effect without evidence"),
      artifacts: z
        .array(z.enum(["AgentMachineMountEvidence", "RunArtifact", "SessionArtifact"]))
        .min(1)
        .max(3)
        .describe("AgentPlane artefacts that a run must leave"),
      policyDecisionRequired: z.literal(true).describe("Each side effect names the decision that allowed it"),
      toolCalls: z.literal(true).describe("Each tool call is recorded, arguments and results as digests"),
    })
    .describe("AgentPlane evidence requirements"),
});
export type AgentToolDoorSpec = z.infer<typeof AgentToolDoorSpec>;

/** Agent-tool door of an agent machine. */
export const AgentToolDoor = z
  .strictObject({
    ...documentHead("AgentToolDoor", "agent-tool-door"),
    name: z.string().min(1).max(80).describe("Name for people"),
    agentMachineProfileRef: AgentMachineProfileRef,
    ...AgentToolDoorSpec.shape,
  })
  .describe(
    "Agent-tool door of an agent machine: tools, operations, Agent Registry grants and AgentPlane evidence",
  );
export type AgentToolDoor = z.infer<typeof AgentToolDoor>;

/** The agent-tool door of a profile that says nothing of it: every tool in the machine; on the host only what a person approves. */
export const DEFAULT_AGENT_TOOL_DOOR: AgentToolDoorSpec = {
  toolIds: [...TOOL_IDS],
  allowedOperations: [
    "agent-tool.list",
    "agent-tool.read",
    "agent-tool.write",
    "agent-tool.exec",
    "agent-tool.egress",
    "agent-tool.host-action",
  ],
  toolAllowances: [],
  approvalRequired: [],
  registryGrantRefs: [],
  hostMutationPolicy: "approval-required",
  agentPlaneEvidence: {
    required: true,
    artifacts: ["AgentMachineMountEvidence"],
    policyDecisionRequired: true,
    toolCalls: true,
  },
};
