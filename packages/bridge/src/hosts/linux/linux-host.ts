import { existsSync } from "node:fs";
import { release, userInfo } from "node:os";
import type { HostFacts } from "@doorward/contracts";
import { readText } from "./read-text.ts";

/** A resource limit that a machine can be given. */
export type LimitKind = HostFacts["limits"][number];

/** What the kernel and the distribution of this host offer, apart from Podman; read from files only. */
export interface LinuxHost {
  readonly kernel: string;
  readonly bootId: string;
  readonly uid: number;
  readonly login: string;
  readonly rootless: boolean;
  readonly cgroups: HostFacts["cgroups"];
  readonly enforceable: readonly LimitKind[];
  readonly systemd: boolean;
  readonly mandatoryAccessControl: HostFacts["mandatoryAccessControl"];
  readonly nofile: number;
  readonly nproc: number;
  readonly raisesLimits: boolean;
  readonly userNamespaces: boolean;
  readonly subordinateIds: { readonly uids: number; readonly gids: number };
  readonly distribution: Distribution;
}

/** Name of the Linux distribution, its release's code name, and the family whose package manager it uses. */
export interface Distribution {
  readonly id: string;
  readonly codename: string | null;
  readonly family: "debian" | "fedora" | "arch" | "suse" | "other";
}

const unlimited = 1_048_576;
const sysResourceBit = 1n << 24n;

/** Reads what this Linux host offers. */
export function readLinuxHost(): LinuxHost {
  const { uid, username } = userInfo();
  const cgroups = cgroupLayout();
  return {
    kernel: release(),
    bootId: (readText("/proc/sys/kernel/random/boot_id") ?? "unknown").trim(),
    uid,
    login: username,
    rootless: uid !== 0,
    cgroups,
    enforceable: enforceableLimits(cgroups, uid),
    systemd: existsSync("/run/systemd/system"),
    mandatoryAccessControl: accessControl(),
    ...hardLimits(),
    raisesLimits: (effectiveCapabilities() & sysResourceBit) !== 0n,
    userNamespaces: Number(readText("/proc/sys/user/max_user_namespaces") ?? "0") > 0,
    subordinateIds: {
      uids: subordinateCount("/etc/subuid", username, uid),
      gids: subordinateCount("/etc/subgid", username, uid),
    },
    distribution: readDistribution(),
  };
}

function cgroupLayout(): HostFacts["cgroups"] {
  if (existsSync("/sys/fs/cgroup/cgroup.controllers")) return "v2";
  return existsSync("/sys/fs/cgroup/unified/cgroup.procs") ? "hybrid" : "v1";
}

function enforceableLimits(cgroups: HostFacts["cgroups"], uid: number): LimitKind[] {
  const kinds: LimitKind[] = ["memory", "pids", "cpu"];
  if (cgroups !== "v2") return uid === 0 ? kinds.filter((kind) => existsSync(`/sys/fs/cgroup/${kind}`)) : [];
  const root = "/sys/fs/cgroup";
  const own = uid === 0 ? root : `${root}/user.slice/user-${String(uid)}.slice/user@${String(uid)}.service`;
  const controllers = (readText(`${own}/cgroup.controllers`) ?? "").trim().split(/\s+/);
  return kinds.filter((kind) => controllers.includes(kind));
}

function accessControl(): HostFacts["mandatoryAccessControl"] {
  if (existsSync("/sys/fs/selinux/enforce")) return "selinux";
  return readText("/sys/module/apparmor/parameters/enabled")?.trim() === "Y" ? "apparmor" : "none";
}

function hardLimits(): { nofile: number; nproc: number } {
  const limits = readText("/proc/self/limits") ?? "";
  return { nofile: hardLimit(limits, "Max open files"), nproc: hardLimit(limits, "Max processes") };
}

/** Hard limit of one line of `/proc/PID/limits`; "unlimited" becomes a large number. */
export function hardLimit(limits: string, label: string): number {
  const line = limits.split("\n").find((candidate) => candidate.startsWith(label));
  const value = Number(line?.slice(label.length).trim().split(/\s+/)[1]);
  return Number.isSafeInteger(value) && value > 0 ? value : unlimited;
}

function effectiveCapabilities(): bigint {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText("/proc/self/status") ?? "")?.[1] ?? "0";
  return BigInt(`0x${hex}`);
}

function subordinateCount(file: string, login: string, uid: number): number {
  const lines = (readText(file) ?? "").split("\n").map((line) => line.split(":"));
  const own = lines.filter(([who]) => who === login || who === String(uid));
  return own.reduce((sum, [, , count]) => sum + (Number(count) || 0), 0);
}

function readDistribution(): Distribution {
  const text = readText("/etc/os-release") ?? "";
  const field = (name: string): string => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1] ?? "";
  const names = [field("ID"), ...field("ID_LIKE").split(" ")];
  const family = (["debian", "fedora", "arch", "suse"] as const).find((known) => names.includes(known));
  return {
    id: field("ID") || "linux",
    codename: field("VERSION_CODENAME") || null,
    family: family ?? "other",
  };
}
