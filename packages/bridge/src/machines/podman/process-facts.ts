import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { MachineIsolation } from "@doorward/contracts";
import { hardLimit } from "../../hosts/linux/linux-host.ts";
import { parseMountinfo, type MountLine } from "./mountinfo.ts";

/** What `/proc` shows of a container's first process, in the words of the contract. */
export type ProcessFacts = Pick<
  MachineIsolation,
  | "uidMap"
  | "gidMap"
  | "hostUid"
  | "capEff"
  | "capBnd"
  | "noNewPrivs"
  | "seccompMode"
  | "rootReadOnly"
  | "namespaces"
  | "interfaces"
  | "routes"
  | "devices"
  | "mounts"
  | "environment"
> & { readonly nofile: number; readonly nproc: number };

const namespaceNames = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] as const;
const pseudo = new Set(["proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "devtmpfs"]);
/** File systems of a machine's own below /dev. */
const ownDeviceFolders = new Set(["/dev/pts", "/dev/shm", "/dev/mqueue"]);
const manyMounts = 500;

/** Reads how a process is really isolated; every value comes from the kernel, none from Podman. */
export async function readProcessFacts(pid: number): Promise<ProcessFacts> {
  const proc = `/proc/${String(pid)}`;
  const text = (name: string): Promise<string> => readFile(join(proc, name), "utf8");
  const [status, uidMap, gidMap, mountinfo, limits, environ] = await Promise.all([
    text("status"),
    text("uid_map"),
    text("gid_map"),
    text("mountinfo"),
    text("limits"),
    text("environ"),
  ]);
  const lines = parseMountinfo(mountinfo);
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
  const [namespaces, network, devices, mounts] = await Promise.all([
    differingNamespaces(proc),
    networkFacts(proc),
    deviceNodes(join(proc, "root/dev")),
    measuredMounts(proc, lines),
  ]);
  return {
    uidMap: joinMap(uidMap),
    gidMap: joinMap(gidMap),
    hostUid: Number(field("Uid")),
    capEff: field("CapEff"),
    capBnd: field("CapBnd"),
    noNewPrivs: field("NoNewPrivs") === "1",
    seccompMode: Number(field("Seccomp")),
    rootReadOnly: lines.findLast(({ target }) => target === "/")?.options.includes("ro") ?? false,
    namespaces,
    ...network,
    devices,
    mounts,
    environment: environ
      .split("\0")
      .flatMap((entry) => (entry === "" ? [] : [entry.split("=")[0] ?? ""]))
      .sort(),
    nofile: hardLimit(limits, "Max open files"),
    nproc: hardLimit(limits, "Max processes"),
  };
}

function joinMap(map: string): string {
  return map
    .trim()
    .split("\n")
    .map((line) => line.trim().replace(/\s+/g, " "))
    .join(",");
}

async function differingNamespaces(proc: string): Promise<MachineIsolation["namespaces"]> {
  const differs = async (name: string): Promise<boolean> => {
    const [theirs, ours] = await Promise.all([
      readlink(`${proc}/ns/${name}`),
      readlink(`/proc/self/ns/${name}`),
    ]);
    return theirs !== ours;
  };
  const [user, mnt, pid, net, ipc, uts, cgroup] = await Promise.all(namespaceNames.map(differs));
  return {
    user: user ?? false,
    mnt: mnt ?? false,
    pid: pid ?? false,
    net: net ?? false,
    ipc: ipc ?? false,
    uts: uts ?? false,
    cgroup: cgroup ?? false,
  };
}

async function networkFacts(proc: string): Promise<{ interfaces: string[]; routes: number }> {
  const [devices, routes4, routes6] = await Promise.all([
    readFile(`${proc}/net/dev`, "utf8"),
    readFile(`${proc}/net/route`, "utf8"),
    readFile(`${proc}/net/ipv6_route`, "utf8").catch(() => ""),
  ]);
  const interfaces = devices
    .split("\n")
    .flatMap((line) => /^\s*([^\s:|]+):/.exec(line)?.[1] ?? [])
    .sort();
  const leaving4 = routes4
    .split("\n")
    .slice(1)
    .filter((line) => line.trim() !== "");
  const leaving6 = routes6
    .split("\n")
    .filter((line) => line.trim() !== "" && line.trim().split(/\s+/).at(-1) !== "lo");
  return { interfaces, routes: leaving4.length + leaving6.length };
}

/**
 * Device nodes below a machine's /dev, without following links out of it. What the machine itself can write is not looked
 * at: it may hold millions of names, and the only nodes that can be made there are of number 0:0, which open nothing.
 */
async function deviceNodes(root: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string, shown: string, depth: number): Promise<void> => {
    for (const name of await readdir(folder).catch(() => [])) {
      // Nodes are bound over empty files, so the folder's own entry types say nothing.
      const stat = await lstat(join(folder, name)).catch(() => null);
      const path = `${shown}/${name}`;
      if (stat?.isCharacterDevice() === true || stat?.isBlockDevice() === true) found.push(path);
      // Terminals come and go, and they belong to the machine's own devpts.
      else if (stat?.isDirectory() === true && depth < 3 && !ownDeviceFolders.has(path))
        await visit(join(folder, name), path, depth + 1);
    }
  };
  await visit(root, "/dev", 0);
  return found.sort().slice(0, 100);
}

async function measuredMounts(
  proc: string,
  lines: readonly MountLine[],
): Promise<MachineIsolation["mounts"]> {
  const tops = new Map(lines.map((line) => [line.target, line]));
  const measured = await Promise.all([...tops.values()].map((line) => measureMount(proc, line)));
  return measured.sort((a, b) => (a.target < b.target ? -1 : 1)).slice(0, manyMounts);
}

async function measureMount(proc: string, line: MountLine): Promise<MachineIsolation["mounts"][number]> {
  const stat = pseudo.has(line.fstype) ? null : await lstat(`${proc}/root${line.target}`).catch(() => null);
  const sized = line.superOptions.filter((option) => /^(size|nr_inodes|mode)=/.test(option));
  return {
    target: line.target,
    fstype: line.fstype,
    options: [...line.options, ...(line.fstype === "tmpfs" ? sized : [])].sort(),
    dev: stat === null ? null : String(stat.dev),
    ino: stat === null ? null : String(stat.ino),
  };
}
