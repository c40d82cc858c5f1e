import { DenialError, doorOf, type AgentToolDoorSpec } from "@doorward/contracts";
import { allowanceOf, clientAllowance, type Allowance } from "@doorward/doors";
import type { GrantAsk } from "./grant-rules.ts";

/**
 * Throws unless an agent-tool door lets a subject hold what is asked of it: its kind of client is listed and has its
 * registry grant, and each tool that is named may be called.
 */
export function checkAgentToolAsk(ask: GrantAsk, agentTool: AgentToolDoorSpec | null): void {
  const { subject, operations, tools = [] } = ask;
  if (!operations.some((one) => doorOf(one) === "agent-tool")) return;
  const refuse = (what: string, answer: Allowance): void => {
    if (answer.allowed) return;
    const { rule, message, hint } = answer;
    throw new DenialError({
      code: "POLICY_DENIED",
      message: `Cannot grant ${what} to "${subject}": ${message}`,
      rule,
      hint: hint ?? `doorward contracts show AgentToolDoor ${ask.profile}`,
    });
  };
  refuse("agent tools", clientAllowance(agentTool, subject));
  const session = { subject, operations: new Set(operations), tools: null, agentTool };
  for (const tool of tools) refuse(`"${tool}"`, allowanceOf(session, tool));
  const offered: readonly string[] = agentTool?.allowedOperations ?? [];
  const missing = operations.find((one) => doorOf(one) === "agent-tool" && !offered.includes(one));
  if (missing === undefined) return;
  const message = "the door of the machine in force does not offer it";
  refuse(`"${missing}"`, { allowed: false, rule: "agent-tool.allowedOperations", message });
}
