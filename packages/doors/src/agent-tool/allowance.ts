import {
  AGENT_TOOLS,
  TOOL_IDS,
  type AgentToolDoorSpec,
  type ToolId,
  type ToolName,
} from "@doorward/contracts";
import type { DoorSession } from "../door.ts";

/** Why something may not be done: the rule that says so, in words, and what to do about it. */
export interface AllowanceRefusal {
  readonly allowed: false;
  readonly rule: string;
  readonly message: string;
  readonly hint?: string;
}

/** Whether a client or a call is allowed, and the registry grant that stands behind it; null where no registry is used. */
export type Allowance = { readonly allowed: true; readonly registryGrant: string | null } | AllowanceRefusal;

/** What an answer about a call depends on. */
export type AllowanceSession = Pick<DoorSession, "subject" | "operations" | "tools" | "agentTool">;

/** What a door's `hostMutationPolicy` makes of one call of a tool. */
export type HostMutation =
  /** The tool changes nothing on the host, or the scopes of the policy decide alone. */
  | "scopes"
  /** Every call that is not a dry run waits for the operator. */
  | "ask"
  /** Only dry runs go through. */
  | "dry-run"
  | "refused";

const MUTATIONS = {
  deny: "refused",
  "dry-run-only": "dry-run",
  "approval-required": "ask",
  preapproved: "scopes",
} as const;

/**
 * Kind of client that a subject stands for: the tool of `agent:<tool>:<session>`, `ci-bot` for `ci:`, `local-shell` for
 * the operator; null for a subject of no known kind. What a client says of itself is never asked.
 */
export function toolIdOf(subject: string): ToolId | null {
  const [kind, name] = subject.split(":", 2);
  if (kind === "ci") return "ci-bot";
  if (kind === "operator") return "local-shell";
  return kind === "agent" ? (TOOL_IDS.find((one) => one === name) ?? null) : null;
}

/** Whether a subject may use a door at all: its kind of client is listed, and has a registry grant where that is asked. */
export function clientAllowance(agentTool: AgentToolDoorSpec | null, subject: string): Allowance {
  if (agentTool === null)
    return refused("profile.doors.agent-tool", "the machine's profile in force has no agent-tool door");
  const id = toolIdOf(subject);
  if (id === null) {
    const known = TOOL_IDS.map((one) => `agent:${one}:NAME`).join(", ");
    return refused("agent-tool.toolIds", `"${subject}" is no kind of client that the door knows`, known);
  }
  if (!agentTool.toolIds.includes(id))
    return refused("agent-tool.toolIds", `"${id}" is none of ${agentTool.toolIds.join(", ")}`);
  if (agentTool.registryGrantRefs.length === 0) return { allowed: true, registryGrant: null };
  const registered = agentTool.registryGrantRefs.find(({ toolId }) => toolId === id);
  if (registered !== undefined) return { allowed: true, registryGrant: registered.grantRef };
  return refused("agent-tool.registryGrantRefs", `"${id}" has no grant of the Agent Registry there`);
}

/** Whether a session may call a tool at this moment; cheap enough for every call. */
export function allowanceOf(session: AllowanceSession, tool: ToolName): Allowance {
  const { agentTool, subject, operations, tools } = session;
  const client = clientAllowance(agentTool, subject);
  if (!client.allowed || agentTool === null) return client;
  const { operation } = AGENT_TOOLS[tool];
  if (!operations.has(operation)) {
    return refused("grant.operations", `the grant does not contain "${operation}"`, `--op ${operation}`);
  }
  if (!agentTool.allowedOperations.includes(operation))
    return refused("agent-tool.allowedOperations", `the door does not offer "${operation}"`);
  // Asking what became of one's own call is no right of its own: whoever may call must learn the answer.
  if (tool === "check_approval") return client;
  if (tools?.has(tool) === false)
    return refused("grant.tools", `the grant names ${named([...tools])} alone`, `--tool ${tool}`);
  const own = agentTool.toolAllowances.find(({ toolId }) => toolId === toolIdOf(subject));
  if (own?.tools.includes(tool) === false)
    return refused("agent-tool.toolAllowances", `"${own.toolId}" may call ${named(own.tools)} alone`);
  if (hostMutation(agentTool, tool) === "refused")
    return refused("agent-tool.hostMutationPolicy", "the door lets no tool change the host");
  return client;
}

/**
 * Whether each call of a tool waits for the operator. Where he is asked about commands, he is asked about what is typed
 * to those that run: one approved shell would do everything else unasked.
 */
export function waitsForOperator(agentTool: AgentToolDoorSpec | null, tool: ToolName): boolean {
  if (agentTool === null || AGENT_TOOLS[tool].effect === "acts") return false;
  const { approvalRequired } = agentTool;
  return (
    approvalRequired.includes(tool) || (tool === "send_input" && approvalRequired.includes("run_command"))
  );
}

/** What is to happen to a call of a tool because of what it changes on the host. */
export function hostMutation(agentTool: AgentToolDoorSpec, tool: ToolName): HostMutation {
  if (AGENT_TOOLS[tool].operation !== "agent-tool.host-action" || tool === "host_clipboard_read")
    return "scopes";
  return MUTATIONS[agentTool.hostMutationPolicy];
}

function refused(rule: string, message: string, hint?: string): AllowanceRefusal {
  return { allowed: false, rule, message, ...(hint === undefined ? {} : { hint }) };
}

function named(tools: readonly ToolName[]): string {
  return tools.length === 0 ? "no tool" : tools.join(", ");
}
