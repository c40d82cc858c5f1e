import {
  AgentMachineMountEvidence,
  type AgentMachineProfile,
  type MachineIsolation,
} from "@doorward/contracts";
import type { EngineMount } from "../machines/engine.ts";
import { RUNTIME_MOUNT } from "../machines/guest/runtime.ts";

/** What the mount evidence of a launch is made from: what was decided, compared with what really runs. */
export interface MountEvidenceSource {
  readonly machineId: string;
  readonly profile: AgentMachineProfile;
  /** URN of the interface profile of the machine's door; null when it offers none. */
  readonly interfaceRef: string | null;
  readonly policyHash: string;
  readonly capturedAt: string;
  /** The operator's home folder; it is written as `$HOME`. */
  readonly home: string;
  readonly mounts: readonly EngineMount[];
  readonly isolation: Pick<MachineIsolation, "mounts">;
  readonly guestDigest: string;
  /** Names that look secret and are visible, as machine paths. */
  readonly listed: readonly string[];
}

type Mount = AgentMachineMountEvidence["mounts"][number];

const PATH_CLASSES: Readonly<Record<EngineMount["role"], Mount["pathClass"]>> = {
  repo: "code",
  protected: "code",
  "mount-point": "code",
  hidden: "code",
  "guest-runtime": "app-bridge",
  "guest-socket": "app-bridge",
  "secret-file": "app-bridge",
  "egress-ca": "app-bridge",
  home: "cache",
};

/**
 * AgentPlane's evidence of the mounts of one launch. What we have no document for is left out; the references that it
 * must have are our own documents: the fingerprint for the data plane as it is, the profile for its mount policy.
 */
export function mountEvidence(source: MountEvidenceSource): AgentMachineMountEvidence {
  const mounts = source.mounts.map((mount, index) => mountOf(mount, index, source));
  const exposed = mounts.some(({ hostPathRef }) => /^\/(?:home|Users)\//.test(hostPathRef ?? ""));
  return AgentMachineMountEvidence.parse({
    kind: "AgentMachineMountEvidence",
    capturedAt: source.capturedAt,
    workspaceId: `urn:srcos:agent-machine-workspace:${source.machineId}`,
    executor: "doorward",
    backendIntent: "agent-machine",
    localDataPlaneRef: `urn:srcos:agent-machine-fingerprint:${source.machineId}`,
    mountPolicyRef: source.profile.id,
    ...(source.interfaceRef === null ? {} : { secureHostInterfaceRef: source.interfaceRef }),
    storageBackend: storageBackend(),
    policyHash: source.policyHash,
    mounts,
    deniedAttempts: deniedAttempts(source),
    redactionSummary: {
      hostUserRedacted: !exposed,
      secretLikeValuesRedacted: 0,
      notes: "The home folder of the bridge's user is written as $HOME; file contents are never part of this",
    },
  });
}

function mountOf(mount: EngineMount, index: number, source: MountEvidenceSource): Mount {
  const { role, target, access } = mount;
  const measured = source.isolation.mounts.find((each) => each.target === target);
  return {
    mountId: `${role}-${index + 1}`,
    pathClass: PATH_CLASSES[role],
    hostPathRef: role === "hidden" ? null : redacted(mount.source, source.home),
    agentPath: target,
    accessMode: access === "ro" ? "read-only" : "read-write",
    ...(target === RUNTIME_MOUNT ? { contentHash: source.guestDigest } : {}),
    secretsProhibited: role !== "secret-file" && !source.listed.some((path) => lies(path, target)),
    ...(measured === undefined ? {} : { directExecutionAllowed: !measured.options.includes("noexec") }),
    existsAtRunStart: true,
  };
}

/** What the launch kept out of the machine, and what looks secret and was let in with a warning. */
function deniedAttempts({ mounts, listed }: MountEvidenceSource) {
  return [
    ...mounts
      .filter(({ role }) => role === "hidden")
      .map(({ target }) => ({ pathRef: target, reason: "masked by hide", severity: "deny" as const })),
    ...listed.map((path) => ({
      pathRef: path,
      reason: "its name looks secret, and it is visible",
      severity: "warn" as const,
    })),
  ];
}

/** The estate's word for how mounts reach a machine: on Linux they are binds of the host itself, without a VM between. */
function storageBackend(): AgentMachineMountEvidence["storageBackend"] {
  if (process.platform === "darwin") return "podman-machine-bind";
  return process.platform === "win32" ? "wsl-bind" : "native-bind";
}

function redacted(path: string, home: string): string {
  if (home === "/" || home === "") return path;
  return lies(path, home) ? `$HOME${path.slice(home.length)}` : path;
}

function lies(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
