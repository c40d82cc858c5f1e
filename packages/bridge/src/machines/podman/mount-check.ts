import { lstat, readFile } from "node:fs/promises";
import { DoorwardError, type HostFacts } from "@doorward/contracts";
import type { EngineMount } from "../engine.ts";
import { parseMountinfo, topMount, type MountLine } from "./mountinfo.ts";

/**
 * Compares every bind mount that a container really has with what was decided: device, inode, access and id mapping.
 * Called after the runtime has set the mounts up and before the first program runs; throws `MACHINE_DRIFT`.
 */
export async function checkMounts(
  pid: number,
  mounts: readonly EngineMount[],
  ownership: HostFacts["ownership"],
): Promise<void> {
  const lines = parseMountinfo(await readFile(`/proc/${String(pid)}/mountinfo`, "utf8"));
  const problems = await Promise.all(mounts.map((mount) => mountProblem(pid, mount, lines, ownership)));
  const found = problems.filter((problem) => problem !== null);
  if (found.length === 0) return;
  throw new DoorwardError({
    code: "MACHINE_DRIFT",
    message: `Cannot start machine: ${found.slice(0, 3).join("; ")}`,
    hint: "Something changed these paths during the launch; try again when nothing does",
    details: { mounts: found },
  });
}

async function mountProblem(
  pid: number,
  mount: EngineMount,
  lines: readonly MountLine[],
  ownership: HostFacts["ownership"],
): Promise<string | null> {
  const line = topMount(lines, mount.target);
  if (line === undefined) return `"${mount.target}" is not mounted`;
  const stat = await lstat(`/proc/${String(pid)}/root${mount.target}`).catch(() => null);
  if (stat === null) return `"${mount.target}" can't be looked at`;
  if (stat.dev !== mount.identity.dev || stat.ino !== mount.identity.ino) {
    return `"${mount.target}" shows another folder or file than "${mount.source}" was when it was decided`;
  }
  if (mount.access === "ro" && !line.options.includes("ro")) return `"${mount.target}" is writable`;
  if (mount.mapOwner && ownership === "idmapped" && !line.options.includes("idmapped")) {
    return `"${mount.target}" does not map its owner`;
  }
  return null;
}
