import { DEFAULT_TERMINAL_DOOR, type AgentToolDoorSpec, type TerminalDoorSpec } from "@doorward/contracts";
import { narrowedAgentTool, narrowedTerminal } from "../interfaces/index.ts";
import type { MachineRecord } from "../machines/life/index.ts";
import type { PolicyFile } from "../policy/index.ts";

/** The terminal door as it was when the machine was launched, made narrower where the policy in force is. */
export function terminalInForce(policy: PolicyFile, { profile }: MachineRecord): TerminalDoorSpec {
  const launched = profile.doors.terminal ?? DEFAULT_TERMINAL_DOOR;
  if (!policy.profileNames().includes(profile.name)) return launched;
  const now = policy.profile(profile.name).doors.terminal;
  return now === undefined ? launched : narrowedTerminal(launched, now);
}

/**
 * The agent-tool door as it was when the machine was launched, made narrower where the policy and the interface profile
 * in force are; null when it was launched without one, or nothing of it is left.
 */
export function agentToolInForce(policy: PolicyFile, { profile }: MachineRecord): AgentToolDoorSpec | null {
  const launched = profile.doors["agent-tool"];
  if (launched === undefined || !policy.profileNames().includes(profile.name)) return launched ?? null;
  const now = policy.profile(profile.name).doors["agent-tool"];
  if (now === undefined) return null;
  const offered: readonly string[] = policy.operations(profile.name, "agent-tool");
  const allowedOperations = now.allowedOperations.filter((one) => offered.includes(one));
  return narrowedAgentTool(launched, { ...now, allowedOperations });
}
