import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import {
  DEFAULT_EGRESS,
  DEFAULT_PROFILE,
  DEFAULT_AGENT_TOOL_DOOR,
  DEFAULT_TERMINAL_DOOR,
  type AgentMachineProfileSpec,
  type EgressSpec,
  type Policy,
  type PolicyProfile,
} from "@doorward/contracts";
import { processScopes } from "../actions/scopes/process-scopes.ts";
import { EGRESS_PRESET_RULES } from "../egress/presets.ts";
import { HOME_PLACES, SYSTEM_PLACES } from "./deny-places.ts";
import { PROTECTED_IN_GIT, PROTECTED_IN_REPO } from "./protected-names.ts";

/** The policy in force when there is no file: nothing is allowed. */
export const EMPTY_POLICY: Policy = { version: 1, roots: [] };

/** A profile of the policy file with the defaults filled in, field by field. */
export function mergeProfile(written: PolicyProfile): AgentMachineProfileSpec {
  const { image, limits, isolation, mounts, egress, doors, ...plain } = written;
  const { allowed = true, ...tools } = doors?.["agent-tool"] ?? {};
  return {
    ...DEFAULT_PROFILE,
    ...defined(plain),
    image: { ...DEFAULT_PROFILE.image, ...defined(image ?? {}) },
    limits: { ...DEFAULT_PROFILE.limits, ...defined(limits ?? {}) },
    isolation: { ...DEFAULT_PROFILE.isolation, ...defined(isolation ?? {}) },
    mounts: { ...DEFAULT_PROFILE.mounts, ...defined(mounts ?? {}) },
    egress: mergeEgress(egress),
    doors: {
      terminal: { ...DEFAULT_TERMINAL_DOOR, ...defined(doors?.terminal ?? {}) },
      ...(allowed ? { "agent-tool": { ...DEFAULT_AGENT_TOOL_DOOR, ...defined(tools) } } : {}),
    },
  };
}

/** Egress of the policy file with the defaults filled in. */
export function mergeEgress(written: Policy["egress"]): EgressSpec {
  return { ...DEFAULT_EGRESS, ...defined(written ?? {}) };
}

/** Every profile of a policy by name; `default` is always there. */
export function mergedProfiles(policy: Policy): ReadonlyMap<string, AgentMachineProfileSpec> {
  const written = Object.entries({ default: {}, ...policy.profiles });
  return new Map(written.map(([name, profile]) => [name, mergeProfile(profile)]));
}

/**
 * What a policy means, with the interface documents beside it, defaults and built-in lists included, independent of
 * comments, order and the host.
 */
export function effectivePolicy(policy: Policy, documents: readonly object[] = []): Record<string, unknown> {
  return {
    version: policy.version,
    roots: policy.roots,
    deny: policy.deny ?? [],
    builtInDeny: { home: HOME_PLACES, system: SYSTEM_PLACES },
    protect: policy.protect ?? [],
    builtInProtect: { repo: PROTECTED_IN_REPO, git: PROTECTED_IN_GIT },
    profiles: Object.fromEntries(mergedProfiles(policy)),
    grants: policy.grants ?? [],
    egress: mergeEgress(policy.egress),
    builtInEgress: EGRESS_PRESET_RULES,
    // What presets stand for is part of what the policy means: another version of one is another policy.
    ...(policy.actions === undefined
      ? {}
      : { actions: { ...policy.actions, processes: processScopes(policy.actions) } }),
    limits: policy.limits ?? {},
    bridge: policy.bridge ?? {},
    interfaces: documents,
  };
}

/** Digest of the effective policy, over its canonical JSON (RFC 8785). */
export function policyHash(policy: Policy, documents: readonly object[] = []): string {
  const text = canonicalize(effectivePolicy(policy, documents)) ?? "";
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** Optional fields that are present as `undefined` would overwrite a default. */
function defined<T extends object>(value: T): Defined<T>;
function defined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined));
}
