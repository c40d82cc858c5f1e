import type { HostFacts } from "@doorward/contracts";
import type { EngineMount, EngineSpec } from "../engine.ts";
import type { SeccompFile } from "./seccomp-files.ts";

/** Label with the installation's id: what is adopted and reaped is decided by it alone. */
export const installationLabel = "dev.doorward.installation";
/** Label with the machine's id. */
export const machineLabel = "dev.doorward.machine";
/** Label with the digest of the seccomp profile that the container was given. */
export const seccompLabel = "dev.doorward.seccomp";
/** Size of a machine's own range of ids. */
const idRangeSize = 65_536;

const cpuPeriod = 100_000;
const logBytes = 4 * 1024 * 1024;

/** What of the host shapes a container beside its spec. */
export interface SpecContext {
  readonly facts: HostFacts;
  readonly seccomp: SeccompFile;
  readonly hasInit: boolean;
}

/** The body of libpod's create call: every field explicit, because a service's defaults differ between hosts and versions. */
export function containerBody(spec: EngineSpec, context: SpecContext): object {
  const { facts } = context;
  return {
    name: spec.name,
    image: spec.imageId,
    raw_image_name: spec.imageId,
    image_volume_mode: "ignore",
    entrypoint: [],
    command: [...spec.command],
    work_dir: spec.workdir,
    hostname: spec.hostname,
    env: { ...spec.env },
    env_host: false,
    http_proxy: false,
    unsetenvall: true,
    user: machineUser(spec, facts),
    groups: [],
    labels: {
      [installationLabel]: spec.installationId,
      [machineLabel]: spec.machineId,
      [seccompLabel]: context.seccomp.digest,
    },
    terminal: false,
    stdin: false,
    init: context.hasInit,
    systemd: "false",
    remove: false,
    restart_policy: "no",
    stop_signal: 15,
    stop_timeout: 2,
    ...privileges(context.seccomp),
    ...namespaces(spec, facts),
    ...fileSystems(spec, facts),
    ...limits(spec, facts),
    log_configuration: { driver: "k8s-file", size: logBytes },
  };
}

/** The user inside: the profile's, or the repo owner's own where nothing can map ids. */
function machineUser(spec: EngineSpec, facts: HostFacts): string {
  const owner = facts.ownership === "same-uid" ? repoOwner(spec) : null;
  const { uid, gid } = owner ?? spec.user;
  return `${String(uid)}:${String(gid)}`;
}

/** Owner of the first repo, which decides who the machine runs as where ids can't be mapped. */
export function repoOwner(spec: EngineSpec): { readonly uid: number; readonly gid: number } | null {
  return spec.mounts.find(({ role, mapOwner }) => role === "repo" && mapOwner)?.owner ?? null;
}

function privileges(seccomp: SeccompFile): object {
  return {
    privileged: false,
    cap_drop: ["all"],
    cap_add: [],
    no_new_privileges: true,
    seccomp_profile_path: seccomp.path,
    devices: [],
    mask: [],
    unmask: [],
    sysctl: {},
  };
}

function namespaces(spec: EngineSpec, facts: HostFacts): object {
  return {
    netns: { nsmode: "none" },
    pidns: { nsmode: "private" },
    ipcns: { nsmode: "private" },
    utsns: { nsmode: "private" },
    cgroupns: { nsmode: facts.cgroups === "v2" ? "private" : "host" },
    ...userNamespace(spec, facts),
    use_image_hosts: true,
    use_image_resolv_conf: true,
    portmappings: [],
  };
}

function userNamespace(spec: EngineSpec, facts: HostFacts): object {
  switch (facts.ownership) {
    case "idmapped": {
      const range = [{ container_id: 0, host_id: spec.idRangeStart, size: idRangeSize }];
      return { userns: { nsmode: "private" }, idmappings: { UIDMap: range, GIDMap: range } };
    }
    case "keep-id":
      return {
        userns: { nsmode: "keep-id", value: `uid=${String(spec.user.uid)},gid=${String(spec.user.gid)}` },
      };
    case "same-uid":
      return { userns: { nsmode: "host" } };
  }
}

function fileSystems(spec: EngineSpec, facts: HostFacts): object {
  return {
    read_only_filesystem: true,
    // Without this, newer Podmans add unsized tmpfs mounts of their own beside a read-only root.
    read_write_tmpfs: false,
    shm_size: spec.limits.shmBytes,
    volumes: [],
    overlay_volumes: [],
    image_volumes: [],
    mounts: [...spec.tmpfs.map(tmpfsMount), ...spec.mounts.map((mount) => bindMount(mount, spec, facts))],
  };
}

function tmpfsMount({ target, sizeBytes, mode }: EngineSpec["tmpfs"][number]): object {
  const options = [
    "rw",
    "nosuid",
    "nodev",
    "exec",
    "notmpcopyup",
    `size=${String(sizeBytes)}`,
    `mode=${mode.toString(8)}`,
  ];
  return { type: "tmpfs", source: "tmpfs", destination: target, options };
}

function bindMount(mount: EngineMount, spec: EngineSpec, facts: HostFacts): object {
  const map = mount.mapOwner && facts.ownership === "idmapped" ? [idmapOption(mount, spec)] : [];
  // A bind of one folder only: what is mounted below it on the host stays out.
  const options = [mount.access, "bind", "rprivate", "nosuid", "nodev", ...map];
  return { type: "bind", source: mount.source, destination: mount.target, options };
}

/** Maps the source's owner onto the machine's user; the inner side is written in ids of the machine's range on the host. */
function idmapOption({ owner }: EngineMount, { user, idRangeStart }: EngineSpec): string {
  const pair = (outside: number, inside: number): string =>
    `${String(outside)}-${String(idRangeStart + inside)}-1`;
  return `idmap=uids=${pair(owner.uid, user.uid)};gids=${pair(owner.gid, user.gid)}`;
}

function limits(spec: EngineSpec, facts: HostFacts): object {
  const { memoryBytes, pids, cpus } = spec.limits;
  const enforced = new Set(facts.limits);
  const nofile = Math.min(spec.limits.nofile, facts.nofile);
  const nproc = Math.min(spec.limits.nproc, facts.nproc);
  return {
    r_limits: [
      { type: "nofile", soft: nofile, hard: nofile },
      { type: "nproc", soft: nproc, hard: nproc },
      { type: "core", soft: 0, hard: 0 },
    ],
    resource_limits: {
      ...(enforced.has("memory") ? { memory: { limit: memoryBytes, swap: memoryBytes } } : {}),
      ...(enforced.has("pids") ? { pids: { limit: pids } } : {}),
      ...(enforced.has("cpu") ? { cpu: { quota: Math.round(cpus * cpuPeriod), period: cpuPeriod } } : {}),
    },
  };
}
