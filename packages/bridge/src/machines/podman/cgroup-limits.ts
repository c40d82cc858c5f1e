import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readText } from "../../hosts/linux/read-text.ts";

/** Limits in force for a process, from its control group files; `null` where nothing limits it. */
export interface CgroupLimits {
  readonly memoryBytes: number | null;
  readonly swapBytes: number | null;
  readonly pids: number | null;
  readonly cpus: number | null;
}

const root = "/sys/fs/cgroup";
// cgroup v1 writes "no limit" as the largest page-aligned number.
const largest = 2 ** 62;

/** Reads the limits of the control groups that a process is in, on v1, v2 and hybrid hosts. */
export async function readCgroupLimits(pid: number): Promise<CgroupLimits> {
  const groups = parseCgroups(await readFile(`/proc/${String(pid)}/cgroup`, "utf8"));
  return groups.has("memory") || groups.has("pids") ? limitsV1(groups) : limitsV2(groups.get("") ?? "/");
}

/** Path of a process's control group for each controller; the unified one under the empty name. */
export function parseCgroups(text: string): Map<string, string> {
  const lines = text
    .trim()
    .split("\n")
    .map((line) => line.split(":"));
  return new Map(
    lines.flatMap(([, controllers = "", ...path]) =>
      controllers.split(",").map((name): [string, string] => [name, path.join(":")]),
    ),
  );
}

function limitsV1(groups: ReadonlyMap<string, string>): CgroupLimits {
  const value = (controller: string, file: string): number | null => {
    const path = groups.get(controller);
    return path === undefined ? null : limitIn(join(root, controller, path, file));
  };
  const quota = value("cpu", "cpu.cfs_quota_us");
  const period = value("cpu", "cpu.cfs_period_us");
  return {
    memoryBytes: value("memory", "memory.limit_in_bytes"),
    swapBytes: value("memory", "memory.memsw.limit_in_bytes"),
    pids: value("pids", "pids.max"),
    cpus: quota === null || period === null ? null : quota / period,
  };
}

/** On v2 the swap limit excludes memory; the contract's includes it. */
function limitsV2(path: string): CgroupLimits {
  const memory = limitIn(join(root, path, "memory.max"));
  const swap = limitIn(join(root, path, "memory.swap.max"));
  const [quota, period] = (readText(join(root, path, "cpu.max")) ?? "max").trim().split(" ");
  return {
    memoryBytes: memory,
    swapBytes: memory === null || swap === null ? null : memory + swap,
    pids: limitIn(join(root, path, "pids.max")),
    cpus: quota === undefined || quota === "max" ? null : Number(quota) / Number(period),
  };
}

function limitIn(file: string): number | null {
  const text = readText(file)?.trim();
  if (text === undefined || text === "max") return null;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 && value < largest ? value : null;
}

/** Whether the memory limit of a process's control group was ever hit hard; `false` when the group is already gone. */
export function hitMemoryLimit(cgroups: ReadonlyMap<string, string>): boolean {
  const v1 = cgroups.get("memory");
  if (v1 !== undefined)
    return (
      Number(
        /^oom_kill (\d+)/m.exec(readText(join(root, "memory", v1, "memory.oom_control")) ?? "")?.[1] ?? 0,
      ) > 0
    );
  const v2 = cgroups.get("");
  if (v2 === undefined) return false;
  return Number(/^oom_kill (\d+)/m.exec(readText(join(root, v2, "memory.events")) ?? "")?.[1] ?? 0) > 0;
}
