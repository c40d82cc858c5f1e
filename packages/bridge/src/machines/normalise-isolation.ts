import type { FingerprintInputs, MachineIsolation } from "@doorward/contracts";
import type { EngineMount, EngineSpec } from "./engine.ts";

type DecidedMount = FingerprintInputs["mounts"][number];
type MeasuredMount = MachineIsolation["mounts"][number];

/** Folders of the machine's own with a size of their own. */
const SIZED = new Set(["/dev", "/dev/shm"]);

/** A mount as decided, with what differs from one launch to the next taken out. */
export function decidedMount(mount: EngineMount, machineId: string): DecidedMount {
  const ours = isOurs(mount, machineId);
  return {
    role: mount.role,
    target: mount.target,
    // Folders that are made for one machine differ by its id only.
    source: mount.source.replaceAll(machineId, "MACHINE"),
    access: mount.access,
    dev: ours ? "own" : String(mount.identity.dev),
    ino: ours ? "own" : String(mount.identity.ino),
    owner: mount.mapOwner ? `${String(mount.owner.uid)}:${String(mount.owner.gid)}` : null,
  };
}

/**
 * Whether a source is of Doorward's making: made anew for a machine (its socket, home, review clone, pins), or known by
 * the digest that its path or the fingerprint has (guest runtime, settings for git, masks).
 */
function isOurs({ role, source, target }: EngineMount, machineId: string): boolean {
  return (
    ["guest-runtime", "guest-socket", "home", "hidden"].includes(role) ||
    source.includes(`/${machineId}/`) ||
    (role === "protected" && target.endsWith("/commondir"))
  );
}

/** The isolation as measured, without what differs between two launches of equal inputs: the id range, and identities of what Doorward makes. */
export function normaliseIsolation(isolation: MachineIsolation, spec: EngineSpec): MachineIsolation {
  const relative = (text: string): string => text.replaceAll(String(spec.idRangeStart), "RANGE");
  const inRange = isolation.hostUid >= spec.idRangeStart && isolation.hostUid < spec.idRangeStart + 65_536;
  return {
    ...isolation,
    uidMap: relative(isolation.uidMap),
    gidMap: relative(isolation.gidMap),
    hostUid: inRange ? isolation.hostUid - spec.idRangeStart : isolation.hostUid,
    mounts: normaliseMounts(isolation.mounts, spec),
  };
}

/**
 * Whether a mount stands in the isolation as measured too. Protected names and mount points do not: they stand in the
 * decided mounts, were compared with them one by one, and there can be many: a record has a size limit.
 */
export function isMeasured({ role }: EngineMount): boolean {
  return role !== "protected" && role !== "mount-point";
}

function normaliseMounts(mounts: readonly MeasuredMount[], spec: EngineSpec): MeasuredMount[] {
  const planned = new Map(spec.mounts.map((mount) => [mount.target, mount]));
  const sized = new Set([...SIZED, ...spec.tmpfs.map(({ target }) => target)]);
  return mounts.flatMap((mount) => {
    const plan = planned.get(mount.target);
    if (plan !== undefined && !isMeasured(plan)) return [];
    const keepsIdentity = plan !== undefined && !isOurs(plan, spec.machineId);
    return [
      {
        ...mount,
        options: mount.options.filter((option) => sized.has(mount.target) || !option.includes("=")),
        dev: keepsIdentity ? mount.dev : null,
        ino: keepsIdentity ? mount.ino : null,
      },
    ];
  });
}
