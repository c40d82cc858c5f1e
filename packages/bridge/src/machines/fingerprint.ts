import { createHash } from "node:crypto";
import type {
  AgentMachineProfile,
  FingerprintInputs,
  HostFacts,
  MachineIsolation,
} from "@doorward/contracts";
import { AgentMachineFingerprint } from "@doorward/contracts";
import canonicalize from "canonicalize";
import type { EngineImage, EngineMount, EngineSpec } from "./engine.ts";

/** What a fingerprint is taken of. */
export interface FingerprintSource {
  readonly machine: { readonly id: string; readonly name: string };
  readonly profile: AgentMachineProfile;
  readonly policyHash: string;
  readonly image: Pick<EngineImage, "id" | "recipe">;
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
  const { findings: _findings, ...host } = source.facts;
  const inputs: FingerprintInputs = {
    image: { id: source.image.id, recipe: source.image.recipe },
    profile: source.profile,
    policyHash: source.policyHash,
    mounts: source.spec.mounts.map((mount) => decidedMount(mount, source.machine.id)).sort(byTarget),
    isolation: normalised(source.isolation, source.spec),
    guest: { ...source.guest },
    doors: { ...source.doors },
    host,
    relaxations: [...source.spec.relaxations, ...source.fallbacks].sort(),
  };
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

/** SHA-256 of the canonical JSON (RFC 8785) of any value of plain JSON types. */
export function digestOf(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("Cannot digest: not a JSON value");
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function decidedMount(mount: EngineMount, machineId: string): FingerprintInputs["mounts"][number] {
  const ours = mount.role === "guest-socket" || mount.role === "home" || mount.role === "hidden";
  return {
    role: mount.role,
    target: mount.target,
    // Folders that are made for one machine differ by its id only.
    source: ours ? mount.source.replaceAll(machineId, "MACHINE") : mount.source,
    access: mount.access,
    dev: ours ? "own" : String(mount.identity.dev),
    ino: ours ? "own" : String(mount.identity.ino),
  };
}

/** Takes out what differs between two launches of the same machine: the id range and identities of folders made for it. */
function normalised(isolation: MachineIsolation, spec: EngineSpec): MachineIsolation {
  const relative = (text: string): string => text.replaceAll(String(spec.idRangeStart), "RANGE");
  const own = new Set(
    spec.mounts
      .filter((m) => m.role === "guest-socket" || m.role === "home" || m.role === "hidden")
      .map((m) => m.target),
  );
  const inRange = isolation.hostUid >= spec.idRangeStart && isolation.hostUid < spec.idRangeStart + 65_536;
  const planned = new Set(spec.mounts.map((mount) => mount.target));
  // These stand in the decided mounts, were compared with them one by one, and there can be many: a record has a size limit.
  const guarding = new Set(
    spec.mounts
      .filter(({ role }) => role === "protected" || role === "mount-point")
      .map(({ target }) => target),
  );
  return {
    ...isolation,
    uidMap: relative(isolation.uidMap),
    gidMap: relative(isolation.gidMap),
    hostUid: inRange ? isolation.hostUid - spec.idRangeStart : isolation.hostUid,
    mounts: isolation.mounts
      .filter(({ target }) => !guarding.has(target))
      .map((mount) =>
        planned.has(mount.target) && !own.has(mount.target)
          ? mount
          : {
              ...mount,
              options: mount.options.filter((option) => !option.includes("=")),
              dev: null,
              ino: null,
            },
      ),
  };
}

function byTarget(a: { target: string }, b: { target: string }): number {
  return a.target < b.target ? -1 : a.target > b.target ? 1 : 0;
}
