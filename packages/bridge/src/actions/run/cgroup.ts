import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const NAME = "doorward-action";
/** Processes that one program may have at a time, where the pids controller is there. */
const MAX_PROCESSES = 1024;
/** Rounds of killing, of 50 ms most of them, before a process may be said to hang. */
const ROUNDS_TO_HANG = 40;
const SIGKILL_BIT = 0x100n;

/** Cgroups of processes that hung when they were to be removed. */
const hung = new Set<string>();
let made = 0;

/** Makes the cgroups that hold one program and all it starts, the one to kill by first; null where none may be made. */
export function makeCgroups(): readonly string[] | null {
  const places = cgroupPlaces();
  const name = `${NAME}-${process.pid}-${startTime(process.pid) ?? "0"}-${String((made += 1))}`;
  const unified = firstMade(places.unified, name);
  const pids = firstMade(places.pids, name);
  const folders = [unified, pids].filter((folder) => folder !== null);
  for (const folder of folders) limitProcesses(folder);
  return folders.length === 0 ? null : folders;
}

/** Kills every process of a cgroup; once, without waiting for it to be empty. */
export function killCgroup(folder: string): void {
  try {
    writeFileSync(join(folder, "cgroup.kill"), "1", { flag: "r+" });
  } catch {
    for (const pid of processesOf(folder)) if (pid !== process.pid) killProcess(pid);
  }
}

/**
 * Kills every process of the cgroups until none is left, and removes them. Those that hang in the kernel, e.g. on a file
 * system that does not answer, are left to their end: killed as they are, they never run anything of their program again.
 */
export async function emptyCgroups(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    for (let round = 0; processesOf(folder).length > 0; round += 1) {
      killCgroup(folder);
      if (round >= ROUNDS_TO_HANG && processesOf(folder).every(hangsKilled)) {
        hung.add(folder);
        break;
      }
      await sleep(Math.min(2 ** round, 50));
    }
    if (!hung.has(folder)) await removeFolder(folder);
  }
  await removeHung();
}

async function removeHung(): Promise<void> {
  for (const folder of hung) {
    if (processesOf(folder).length > 0) continue;
    hung.delete(folder);
    await removeFolder(folder);
  }
}

/** Ends what bridges that no longer live left running; gives back how many cgroups there were. */
export async function reapCgroups(): Promise<number> {
  const places = cgroupPlaces();
  const left = [...places.unified, ...places.pids].flatMap(abandonedIn);
  await emptyCgroups(left);
  return left.length;
}

/** Folders where this process may perhaps make a cgroup: beside its own (where controllers are), else beneath it. */
function cgroupPlaces(): { readonly unified: readonly string[]; readonly pids: readonly string[] } {
  if (process.platform !== "linux") return { unified: [], pids: [] };
  const own = readFileSync("/proc/self/cgroup", "utf8");
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const mounted = (matches: RegExp) => mounts.find((line) => matches.test(line))?.split(" ")[4] ?? null;
  return {
    unified: placesOf(mounted(/ - cgroup2 /), /^0::(.*)$/m.exec(own)?.[1]),
    pids: placesOf(mounted(/ - cgroup .*\bpids\b/), /^\d+:(?:[^:]*,)?pids(?:,[^:]*)?:(.*)$/m.exec(own)?.[1]),
  };
}

function placesOf(mount: string | null, own: string | undefined): readonly string[] {
  if (mount === null || own === undefined) return [];
  const folder = join(mount, own);
  return own === "/" ? [folder] : [dirname(folder), folder];
}

function firstMade(places: readonly string[], name: string): string | null {
  for (const place of places) {
    const folder = join(place, name);
    try {
      mkdirSync(folder);
      if (canEnter(folder, place)) return folder;
      rmdirSync(folder);
    } catch {
      // The next place.
    }
  }
  return null;
}

/** Moving a process needs write access to the nearest common ancestor's list, which is the place itself. */
function canEnter(folder: string, place: string): boolean {
  try {
    for (const path of [folder, place]) writeFileSync(join(path, "cgroup.procs"), "", { flag: "r+" });
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EINVAL";
  }
}

function limitProcesses(folder: string): void {
  if (existsSync(join(folder, "pids.max")))
    writeFileSync(join(folder, "pids.max"), String(MAX_PROCESSES), { flag: "r+" });
}

function processesOf(folder: string): number[] {
  try {
    const lines = readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n");
    return lines.filter((line) => line !== "").map(Number);
  } catch {
    return [];
  }
}

function abandonedIn(place: string): string[] {
  try {
    const names = readdirSync(place).filter((name) => name.startsWith(`${NAME}-`));
    return names.filter((name) => !ownerLives(name)).map((name) => join(place, name));
  } catch {
    return [];
  }
}

function ownerLives(name: string): boolean {
  const [, , pid = "0", started = ""] = name.split("-");
  return startTime(Number(pid)) === started;
}

/** When a process started, in clock ticks since boot: with its id it names one process. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

/** Whether a process waits in the kernel, where no signal reaches it, and is killed once it comes back. */
function hangsKilled(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const [, pending = "0"] = /^SigPnd:\s*([0-9a-f]+)/m.exec(status) ?? [];
    return /^State:\s*D/m.test(status) && (BigInt(`0x${pending}`) & SIGKILL_BIT) !== 0n;
  } catch {
    return false;
  }
}

function killProcess(pid: number): void {
  try {
    if (pid > 1) process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** A cgroup is busy for a moment after its last process is reaped. */
async function removeFolder(folder: string): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EBUSY")) return;
      await sleep(10);
    }
  }
}
