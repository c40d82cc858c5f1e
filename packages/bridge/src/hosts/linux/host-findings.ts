import type { HostFacts, HostFinding } from "@doorward/contracts";
import { installCommand } from "./install-command.ts";
import type { LinuxHost } from "./linux-host.ts";

/** What the engine knows beside the host itself, for the findings. */
export interface EngineFindings {
  readonly podman: string;
  readonly runtime: string;
  readonly wrapped: boolean;
  readonly rejected: readonly string[];
  readonly ownership: HostFacts["ownership"];
  readonly limits: HostFacts["limits"];
  readonly stockSeccomp: string | null;
  readonly storageDriver: string;
  readonly programs: Readonly<Record<"mmdebstrap" | "newuidmap" | "catatonit" | "setpriv", string | null>>;
  readonly imageBase: string | null;
}

const finding = (
  id: string,
  state: HostFinding["state"],
  found: string,
  costs: string | null = null,
  fix: string | null = null,
): HostFinding => ({ id, state, found, costs, fix });

/** Every check of this host with its result, what it costs, and how to mend it. */
export function hostFindings(host: LinuxHost, engine: EngineFindings): HostFinding[] {
  return [
    finding("kernel.release", "ok", `Linux ${host.kernel}`),
    finding("podman.version", "ok", `Podman ${engine.podman}, ${host.rootless ? "rootless" : "as root"}`),
    runtimeFinding(engine),
    ownershipFinding(host, engine),
    cgroupFinding(host, engine),
    capabilityFinding(host),
    namespaceFinding(host, engine),
    ...(host.rootless ? [subordinateFinding(host, engine)] : []),
    accessControlFinding(host),
    finding("seccomp.stock", "ok", `derived from ${engine.stockSeccomp ?? "nothing"}`),
    initFinding(host, engine),
    imageFinding(host, engine),
    finding(
      "storage.driver",
      engine.storageDriver === "overlay" ? "ok" : "degraded",
      engine.storageDriver,
      engine.storageDriver === "overlay" ? null : "Machines start slower and take more disk",
    ),
  ];
}

/** Whether every protection of the design is enforced here, most of them, or not even an own identity. */
export function gradeOf(
  findings: readonly HostFinding[],
  ownership: HostFacts["ownership"],
): HostFacts["grade"] {
  if (ownership === "same-uid") return "weak";
  const counted = findings.filter(({ id }) => protections.has(id));
  return counted.every(({ state }) => state === "ok") ? "full" : "reduced";
}

/** Checks that weigh on isolation; the others only cost comfort. */
const protections = new Set([
  "runtime.ownership",
  "cgroup.limits",
  "userns.enabled",
  "seccomp.stock",
  "init.catatonit",
]);

function runtimeFinding({ runtime, wrapped, rejected }: EngineFindings): HostFinding {
  const how = wrapped ? `${runtime}, behind a wrapper that hides the empty cgroup2 mount` : runtime;
  const passed = rejected.length === 0 ? "" : ` (passed over: ${rejected.join("; ")})`;
  return finding("runtime.choice", "ok", `${how}${passed}`.slice(0, 1000));
}

function ownershipFinding(host: LinuxHost, { ownership }: EngineFindings): HostFinding {
  if (ownership === "idmapped") {
    return finding(
      "runtime.ownership",
      "ok",
      "repo mounts are idmapped: machines have no identity of this host, new files belong to the repo's owner",
    );
  }
  if (ownership === "keep-id") {
    return finding(
      "runtime.ownership",
      "degraded",
      "keep-id: a machine's agent is your own uid in a user namespace",
      "A break-out of the container would act as you",
      "run the bridge as root for a range of ids that belongs to nobody",
    );
  }
  return finding(
    "runtime.ownership",
    "degraded",
    "no idmapped mounts: machines run as the repo owner's uid without a user namespace",
    "Processes of a machine have the uid of a real user; repos of root are refused",
    `${installCommand(host.distribution, ["crun"])}; needs crun 1.5 or newer and Linux 5.12 or newer`,
  );
}

function cgroupFinding(host: LinuxHost, { limits }: EngineFindings): HostFinding {
  const missing = (["memory", "pids", "cpu"] as const).filter((kind) => !limits.includes(kind));
  const found = `${host.cgroups}, enforced: ${limits.join(", ") || "none"}`;
  if (missing.length === 0) return finding("cgroup.limits", "ok", found);
  const costs = `A machine can use up this host's ${missing.join(", ")}`;
  if (host.cgroups !== "v2")
    return finding(
      "cgroup.limits",
      "missing",
      found,
      costs,
      "boot with systemd.unified_cgroup_hierarchy=1, or run the bridge as root",
    );
  return finding(
    "cgroup.limits",
    "degraded",
    found,
    costs,
    "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, then log in again",
  );
}

function capabilityFinding(host: LinuxHost): HostFinding {
  const found = `nofile ${String(host.nofile)}, nproc ${String(host.nproc)}`;
  if (host.raisesLimits) return finding("limits.raise", "ok", found);
  return finding(
    "limits.raise",
    "ok",
    `${found}; can't be raised (no CAP_SYS_RESOURCE), so machines are clamped to them`,
  );
}

function namespaceFinding(host: LinuxHost, { ownership }: EngineFindings): HostFinding {
  if (host.userNamespaces && ownership !== "same-uid")
    return finding("userns.enabled", "ok", "machines have their own user namespace");
  if (host.userNamespaces) {
    return finding(
      "userns.enabled",
      "degraded",
      "this kernel has user namespaces, but machines can't use them with repo mounts",
      "Processes of a machine have ids of this host",
    );
  }
  return finding(
    "userns.enabled",
    "missing",
    "user.max_user_namespaces is 0",
    "Processes of a machine have ids of this host",
    "sudo sysctl -w user.max_user_namespaces=28633",
  );
}

function subordinateFinding(host: LinuxHost, { programs }: EngineFindings): HostFinding {
  const { uids, gids } = host.subordinateIds;
  const found = `${String(uids)} subordinate uids, ${String(gids)} gids, newuidmap ${programs.newuidmap ?? "absent"}`;
  if (programs.newuidmap === null) {
    return finding(
      "userns.subordinate",
      "missing",
      found,
      "Machines can't start without root",
      installCommand(host.distribution, ["uidmap"]),
    );
  }
  if (uids >= 65_536 && gids >= 65_536) return finding("userns.subordinate", "ok", found);
  return finding(
    "userns.subordinate",
    "missing",
    found,
    "Machines can't start without root",
    `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${host.login}`,
  );
}

function accessControlFinding({ mandatoryAccessControl }: LinuxHost): HostFinding {
  if (mandatoryAccessControl === "selinux") {
    return finding(
      "lsm.kind",
      "degraded",
      "SELinux",
      "A machine may not read an unlabelled repo or connect to the bridge's socket",
      "see docs/threat-model.md; never relabel a repo",
    );
  }
  const found = mandatoryAccessControl === "none" ? "no AppArmor or SELinux" : "AppArmor";
  return finding(
    "lsm.kind",
    "ok",
    found,
    mandatoryAccessControl === "none" ? "One layer less behind seccomp and namespaces" : null,
  );
}

function initFinding(host: LinuxHost, { programs }: EngineFindings): HostFinding {
  if (programs.catatonit !== null) return finding("init.catatonit", "ok", programs.catatonit);
  return finding(
    "init.catatonit",
    "degraded",
    "catatonit is absent",
    "Orphaned processes of a machine stay as zombies",
    installCommand(host.distribution, ["catatonit"]),
  );
}

function imageFinding(host: LinuxHost, { programs, imageBase }: EngineFindings): HostFinding {
  if (imageBase !== null) return finding("image.base", "ok", `built from ${imageBase}`);
  if (programs.mmdebstrap !== null)
    return finding("image.base", "ok", `built from Debian packages with ${programs.mmdebstrap}`);
  return finding(
    "image.base",
    "missing",
    "mmdebstrap is absent",
    "The machine image can't be built from Debian packages",
    `${installCommand(host.distribution, ["mmdebstrap"])}; or choose a registry's base: DOORWARD_IMAGE_BASE=docker.io/library/debian:bookworm-slim`,
  );
}
