import { readFileSync, readdirSync, readlinkSync } from "node:fs";

/** A process of the host, as `/proc` shows it. */
export interface HostProcess {
  readonly pid: number;
  readonly command: string;
}

/** Pids of the host. */
export function pids(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isSafeInteger(pid) && pid > 1);
}

/** A file of `/proc`; empty when its process is gone. */
export function procFile(pid: number | string, name: string): string {
  try {
    return readFileSync(`/proc/${String(pid)}/${name}`, "utf8");
  } catch {
    return "";
  }
}

/** Whether every thread of a process has ended: one that waits for a disk keeps its files and sockets open until then. */
export function hasEnded(pid: number): boolean {
  const task = `/proc/${String(pid)}/task`;
  try {
    return readdirSync(task).every((id) => !/^\d+ \(.*\) [^ZX]/.test(procFile(pid, `task/${id}/stat`)));
  } catch {
    return true;
  }
}

/** Processes that belong to a folder: named in their command line, or mounted into their own mount namespace. */
export function processesOf(folder: string): HostProcess[] {
  return pids()
    .filter((pid) => pid !== process.pid)
    .map((pid) => ({ pid, command: procFile(pid, "cmdline").replaceAll("\0", " ").trim() }))
    .filter(({ pid, command }) => command.includes(`${folder}/`) || isInside(pid, folder));
}

/** Processes in machines: their pid namespace is not ours, and their mounts show a folder of the host's `folder`. */
export function machineProcesses(folder: string): HostProcess[] {
  return processesOf(folder).filter(({ pid }) => isInside(pid, folder));
}

function isInside(pid: number, folder: string): boolean {
  if (link(`/proc/${String(pid)}/ns/pid`) === link("/proc/self/ns/pid")) return false;
  return procFile(pid, "mountinfo")
    .split("\n")
    .some((line) => {
      // The guest's socket is mounted in machines only; other sandboxes may have copies of the host's own mounts.
      const [, , , source = "", target] = line.split(" ");
      return target === "/run/doorward" && source.startsWith(`${folder}/`);
    });
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Mounts of the host at or below a folder. */
export function mountsBelow(folder: string): string[] {
  return procFile("self", "mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => target.startsWith(`${folder}/`));
}

/** What the descriptors of a process point at, with the numbers of sockets and pipes taken out. */
export function descriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${String(pid)}/fd`).map((fd) =>
      link(`/proc/${String(pid)}/fd/${fd}`).replace(/\[\d+\]/, "[]"),
    );
  } catch {
    return [];
  }
}

/** Resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(procFile(pid, "status"))?.[1] ?? 0) / 1024;
}
