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

/** What was worked out for the profile that a machine was launched with, under the policy of a hash: every call asks. */
const worked = new WeakMap<MachineRecord["profile"], { hash: string; inForce: AgentToolDoorSpec | null }>();

/**
 * The agent-tool door as it was when the machine was launched, made narrower where the policy and the interface profile
 * in force are; null when it was launched without one, or nothing of it is left.
 */
export function agentToolInForce(policy: PolicyFile, { profile }: MachineRecord): AgentToolDoorSpec | null {
  const launched = profile.doors["agent-tool"];
  if (launched === undefined) return null;
  const { hash } = policy;
  const known = worked.get(profile);
  if (known?.hash === hash) return known.inForce;
  const inForce = agentToolOf(policy, profile.name, launched);
  worked.set(profile, { hash, inForce });
  return inForce;
}

function agentToolOf(
  policy: PolicyFile,
  profile: string,
  launched: AgentToolDoorSpec,
): AgentToolDoorSpec | null {
  if (!policy.profileNames().includes(profile)) return launched;
  const now = policy.profile(profile).doors["agent-tool"];
  if (now === undefined) return null;
  const offered: readonly string[] = policy.operations(profile, "agent-tool");
  const allowedOperations = now.allowedOperations.filter((one) => offered.includes(one));
  return narrowedAgentTool(launched, { ...now, allowedOperations });
}
