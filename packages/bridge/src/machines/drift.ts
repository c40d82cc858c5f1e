import type { HostFacts, MachineIsolation } from "@doorward/contracts";
import type { EngineMachine, EngineSpec } from "./engine.ts";

/** One way in which a running machine differs from what was intended. */
export interface Drift {
  readonly what: string;
  readonly intended: string;
  readonly found: string;
}

/** Compares what runs with what was intended; an empty answer means that every protection is in force. */
export function findDrift(
  spec: EngineSpec,
  imageId: string,
  machine: EngineMachine,
  isolation: MachineIsolation,
  facts: HostFacts,
): readonly Drift[] {
  return [
    ...identityDrift(spec, imageId, machine, isolation),
    ...privilegeDrift(isolation, facts),
    ...surfaceDrift(spec, isolation),
    ...mountDrift(spec, isolation),
    ...limitDrift(spec, isolation, facts),
  ];
}

function expect(what: string, intended: unknown, found: unknown): Drift[] {
  return String(intended) === String(found)
    ? []
    : [{ what, intended: String(intended), found: String(found) }];
}

function identityDrift(
  spec: EngineSpec,
  imageId: string,
  machine: EngineMachine,
  isolation: MachineIsolation,
): Drift[] {
  const ownRange = machine.ownership === "idmapped";
  return [
    ...expect("image", imageId, isolation.imageId),
    ...expect("user", `${spec.user.uid}:${spec.user.gid}`, isolation.user),
    ...(ownRange ? ownRangeDrift(spec, isolation) : []),
    ...(machine.ownership === "same-uid" ? [] : expect("user namespace", true, isolation.namespaces.user)),
  ];
}

/** Exactly the machine's own range, and nothing of the host's beside it. */
function ownRangeDrift({ idRangeStart, user }: EngineSpec, isolation: MachineIsolation): Drift[] {
  const map = `0 ${String(idRangeStart)} 65536`;
  return [
    ...expect("host uid", idRangeStart + user.uid, isolation.hostUid),
    ...expect("uid_map", map, isolation.uidMap),
    ...expect("gid_map", map, isolation.gidMap),
  ];
}

function privilegeDrift(isolation: MachineIsolation, facts: HostFacts): Drift[] {
  return [
    ...expect("CapEff", 0, BigInt(`0x${isolation.capEff}`)),
    ...expect("CapBnd", 0, BigInt(`0x${isolation.capBnd}`)),
    ...expect("NoNewPrivs", true, isolation.noNewPrivs),
    ...expect("Seccomp mode", 2, isolation.seccompMode),
    ...expect("read-only root", true, isolation.rootReadOnly),
    ...(["mnt", "pid", "net", "ipc", "uts"] as const).flatMap((ns) =>
      expect(`${ns} namespace`, true, isolation.namespaces[ns]),
    ),
    ...(facts.cgroups === "v2" ? expect("cgroup namespace", true, isolation.namespaces.cgroup) : []),
  ];
}

/** Devices that the runtime gives every container. */
const RUNTIME_DEVICES = /^\/dev\/(?:full|null|random|tty|urandom|zero)$/;
/** Variables that Podman or the runtime sets by itself. */
const RUNTIME_VARIABLES = new Set(["container", "HOME", "HOSTNAME", "PATH", "TERM"]);

function surfaceDrift(spec: EngineSpec, isolation: MachineIsolation): Drift[] {
  const devices = isolation.devices.filter((path) => !RUNTIME_DEVICES.test(path));
  const variables = isolation.environment.filter(
    (name) => !RUNTIME_VARIABLES.has(name) && !Object.hasOwn(spec.env, name),
  );
  return [
    ...expect("interfaces", "lo", isolation.interfaces.join(" ")),
    ...expect("routes", 0, isolation.routes),
    ...expect("other devices", "", devices.join(" ")),
    ...expect("other variables", "", variables.join(" ")),
  ];
}

/** Places that the runtime mounts by itself in every container. */
const RUNTIME_MOUNTS =
  /^\/(?:$|proc(?:$|\/)|sys(?:$|\/)|dev(?:$|\/)|etc\/(?:hostname|hosts|resolv\.conf|mtab|passwd|group)$|run\/(?:\.containerenv|secrets|podman-init)$|sbin\/docker-init$|catatonit$)/;

function mountDrift(spec: EngineSpec, isolation: MachineIsolation): Drift[] {
  const planned = new Map<string, { access: string }>();
  for (const mount of spec.mounts) planned.set(mount.target, { access: mount.access });
  for (const tmpfs of spec.tmpfs) planned.set(tmpfs.target, { access: "rw" });
  const found = new Map(isolation.mounts.map((mount) => [mount.target, mount]));
  const missing = [...planned].flatMap(([target, { access }]) => {
    const mount = found.get(target);
    if (mount === undefined) return [{ what: `mount ${target}`, intended: access, found: "absent" }];
    return expect(`mount ${target}`, access, mount.options.includes("ro") ? "ro" : "rw");
  });
  const extra = isolation.mounts
    .filter((mount) => !planned.has(mount.target) && !RUNTIME_MOUNTS.test(mount.target))
    .map((mount) => ({ what: `mount ${mount.target}`, intended: "absent", found: mount.fstype }));
  return [...missing, ...extra];
}

function limitDrift(spec: EngineSpec, isolation: MachineIsolation, facts: HostFacts): Drift[] {
  const { limits } = isolation;
  return [
    ...(facts.limits.includes("memory") ? expect("memory", spec.limits.memoryBytes, limits.memoryBytes) : []),
    ...(facts.limits.includes("pids") ? expect("pids", spec.limits.pids, limits.pids) : []),
    ...(facts.limits.includes("cpu") ? expect("cpus", spec.limits.cpus, limits.cpus) : []),
    ...(limits.nofile > spec.limits.nofile ? expect("nofile", spec.limits.nofile, limits.nofile) : []),
    ...(limits.nproc > spec.limits.nproc ? expect("nproc", spec.limits.nproc, limits.nproc) : []),
  ];
}
