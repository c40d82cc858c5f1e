import { readFile } from "node:fs/promises";
import type { AgentMachineProfile } from "@doorward/contracts";
import { holdFolder } from "../../policy/index.ts";
import type { EngineMount } from "../engine.ts";
import { parseMountinfo, topMount } from "../podman/mountinfo.ts";
import { removePins } from "./pins.ts";
import type { ProtectionRecord } from "./plan-mounts.ts";
import { isCovered, planProtections } from "./protections.ts";
import { scanRepo } from "./scan-repo.ts";

/**
 * Protected names of a repo that exist now and were not there to be protected when the machine was launched: what the
 * machine, or anybody else, created meanwhile and the host would run or trust. Relative to the repo.
 */
export async function newProtectedNames(
  record: ProtectionRecord,
  protect: readonly string[],
  profile: AgentMachineProfile,
  signal?: AbortSignal,
): Promise<string[]> {
  const about = { path: record.hostPath, access: "ro", rule: "policy.protect" } as const;
  await using held = await holdFolder(record.hostPath, about);
  const scan = await scanRepo(held.fd, { hide: [], countLinks: false, signal });
  const known = new Set(record.protected);
  const nested = scan.gitFolders.filter((path) => path !== "" && isNewRepository(path, known));
  try {
    const folder = { fd: held.fd, hostPath: held.resolved, scan, protect, profile };
    const { paths, pins } = await planProtections(folder);
    const missing = new Set(pins.map(({ path }) => path));
    const fresh = paths.filter((path) => !missing.has(path) && !isCovered(path, known));
    return [...new Set([...nested, ...fresh])].sort();
  } catch (error) {
    // A protected name that is a symlink now, or a git folder that leads elsewhere.
    return [...nested, error instanceof Error ? error.message : String(error)];
  }
}

/**
 * Protections of a running machine that are gone. The kernel drops a mount when its file is replaced from outside the
 * machine: when the host's git rewrites `.git/config`, the machine can write the new one.
 */
export async function lostProtections(
  pid: number,
  mounts: readonly Pick<EngineMount, "target" | "role" | "access">[],
): Promise<Pick<EngineMount, "target">[]> {
  const lines = parseMountinfo(await readFile(`/proc/${pid}/mountinfo`, "utf8"));
  return mounts.filter(({ target, role, access }) => {
    if (role !== "protected" && role !== "mount-point" && role !== "hidden") return false;
    const line = topMount(lines, target);
    return line === undefined || (access === "ro" && !line.options.includes("ro"));
  });
}

/** Removes what was created only to be protected; called when no machine has the repo any more. */
export async function releasePins(record: ProtectionRecord): Promise<void> {
  if (record.pins.length === 0) return;
  const about = { path: record.hostPath, access: "rw", rule: "policy.protect" } as const;
  await using held = await holdFolder(record.hostPath, about);
  removePins(held.fd, record.pins);
}

function isNewRepository(path: string, known: ReadonlySet<string>): boolean {
  return ![...known].some((each) => each.startsWith(`${path}/`)) && !isCovered(path, known);
}
