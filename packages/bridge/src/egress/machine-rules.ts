import type { EgressAllowance, EgressSpec, Policy } from "@doorward/contracts";
import { mergeEgress } from "../policy/effective-policy.ts";
import { effectiveRules, type EffectiveRules } from "./rules.ts";

/** A machine as the way out knows it: who launched it, and with which profile. */
export interface KnownMachine {
  readonly id: string;
  readonly name: string;
  readonly subject: string;
  readonly profile: string;
}

/** What of the policy file decides about egress. */
export interface EgressPolicy {
  readonly policy: Policy;
  readonly hash: string;
  /** The profile as the file has it now; throws PROFILE_NOT_FOUND. */
  profile(name: string): { readonly egress: EgressSpec };
}

const NOTHING: EffectiveRules = { rules: [], deny: [], closed: [], presets: [], askSeconds: 0 };

/** The rules in force for a machine now; without its profile, none. */
export function rulesOf(
  machine: KnownMachine,
  policy: EgressPolicy,
  allowances: readonly EgressAllowance[],
): EffectiveRules {
  try {
    return effectiveRules({
      policy: mergeEgress(policy.policy.egress),
      profile: { name: machine.profile, egress: policy.profile(machine.profile).egress },
      allowances,
    });
  } catch {
    return NOTHING;
  }
}
