import {
  doorOf,
  DoorwardError,
  type AgentMachineProfile,
  type DoorName,
  type Operation,
  type Policy,
} from "@doorward/contracts";
import type { InterfaceSet } from "../interfaces/index.ts";
import { checkAgentToolAsk } from "./agent-tool-grants.ts";
import { notOffered, operatorsOnly } from "./grant-refusals.ts";
import { decideGrant, type GrantAsk } from "./grant-rules.ts";

/** A policy together with its interface documents: in force, or planned. */
export interface JoinedPolicy {
  readonly policy: Policy;
  readonly interfaces: InterfaceSet;
}

/** A profile with its defaults filled in; throws `PROFILE_NOT_FOUND`. */
export function profileOf({ interfaces }: JoinedPolicy, name: string): AgentMachineProfile {
  const profile = interfaces.profiles.get(name);
  if (profile !== undefined) return profile;
  const names = [...interfaces.profiles.keys()];
  throw new DoorwardError({
    code: "PROFILE_NOT_FOUND",
    message: `Cannot use profile "${name}": the policy has ${names.join(", ")}`,
    hint: `doorward up --profile ${names[0] ?? "default"}`,
  });
}

/** Operations that grants may hold at a door of a profile. */
export function operationsOf(joined: JoinedPolicy, profile: string, door: DoorName): Operation[] {
  return joined.interfaces.operations(profileOf(joined, profile).name, door);
}

/** Names the rule that allows a grant, or throws a {@link DenialError}. */
export function decideInForce(joined: JoinedPolicy, ask: GrantAsk, file: string): { readonly rule: string } {
  const { policy, interfaces } = joined;
  const { name, doors } = profileOf(joined, ask.profile);
  const offered = ask.doors.flatMap((door) => operationsOf(joined, name, door));
  const missing = ask.operations.find((operation) => !offered.includes(operation));
  if (missing === undefined) {
    const decided = decideGrant(policy, ask, file);
    checkAgentToolAsk(ask, ask.agentTool === undefined ? (doors["agent-tool"] ?? null) : ask.agentTool);
    const useless = ask.subject.startsWith("operator:")
      ? undefined
      : interfaces.operatorsOnly(name, ask.operations);
    if (useless === undefined) return decided;
    throw operatorsOnly(ask, useless, file);
  }
  const rule = interfaces.ruleAgainst(name, doorOf(missing), missing);
  throw notOffered(ask, missing, rule ?? `policy.profiles.${name}.doors`, file);
}
