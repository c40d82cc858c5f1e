import { createHash } from "node:crypto";
import type {
  AgentMachineProfile,
  FingerprintInputs,
  HostFacts,
  MachineIsolation,
} from "@doorward/contracts";
import { AgentMachineFingerprint } from "@doorward/contracts";
import canonicalize from "canonicalize";
import type { EngineImage, EngineSpec } from "./engine.ts";
import { protectionsInForce } from "./host-protections.ts";
import { decidedMount, normaliseIsolation } from "./normalise-isolation.ts";

/** What a fingerprint is taken of. */
export interface FingerprintSource {
  readonly machine: { readonly id: string; readonly name: string };
  readonly profile: AgentMachineProfile;
  readonly policyHash: string;
  readonly image: Pick<EngineImage, "id" | "digest" | "recipe">;
  /** Globs that the request masks, besides the profile's. */
  readonly hide: readonly string[];
  readonly spec: EngineSpec;
  readonly isolation: MachineIsolation;
  readonly guest: { readonly digest: string; readonly protocol: number };
  readonly doors: Readonly<Record<string, string>>;
  readonly facts: HostFacts;
  readonly fallbacks: readonly string[];
  readonly observedAt: string;
}

/** Takes the fingerprint of what runs: equal inputs on two launches give the same digest. */
export function takeFingerprint(source: FingerprintSource): AgentMachineFingerprint {
  const inputs = fingerprintInputs(source);
  return AgentMachineFingerprint.parse({
    id: `urn:srcos:agent-machine-fingerprint:${source.machine.id}`,
    type: "AgentMachineFingerprint",
    specVersion: "0.1.0",
    machineRef: `urn:srcos:agent-machine:${source.machine.id}`,
    machine: source.machine,
    observedAt: source.observedAt,
    digest: digestOf(inputs),
    inputs,
  });
}

/** What the digest is taken over; docs/fingerprint.md says what of it counts and what is normalised. */
function fingerprintInputs(source: FingerprintSource): FingerprintInputs {
  const { findings: _findings, nofile: _nofile, nproc: _nproc, ...host } = source.facts;
  const { id, digest, recipe } = source.image;
  return {
    image: { id, digest, recipe },
    profile: source.profile,
    policyHash: source.policyHash,
    hide: sorted(source.hide),
    mounts: source.spec.mounts.map((mount) => decidedMount(mount, source.machine.id)).sort(byTarget),
    isolation: normaliseIsolation(source.isolation, source.spec),
    guest: { ...source.guest },
    doors: { ...source.doors },
    host: { ...host, limits: [...host.limits].sort() },
    protections: protectionsInForce(source.spec, source.isolation, source.facts),
    relaxations: sorted([...source.spec.relaxations, ...source.fallbacks]),
  };
}

/** SHA-256 of the canonical JSON (RFC 8785) of any value of plain JSON types. */
export function digestOf(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("Cannot digest: not a JSON value");
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

function byTarget(a: { target: string }, b: { target: string }): number {
  return a.target < b.target ? -1 : a.target > b.target ? 1 : 0;
}
