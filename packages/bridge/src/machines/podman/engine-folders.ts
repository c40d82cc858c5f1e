import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { readText } from "../../hosts/linux/read-text.ts";
import { runCommand } from "../../hosts/linux/run-command.ts";
import { isPrivateRuntime, keepWritten } from "../../state/index.ts";

/** Every path that this engine's own Podman uses; nothing is shared with other Podmans of the host. */
export interface EngineFolders {
  /** Lasting files: configuration, profiles, storage. */
  readonly state: string;
  readonly graphRoot: string;
  /** Files of one boot: sockets, locks, mount counts. Short, because Podman refuses long ones. */
  readonly run: string;
  readonly runRoot: string;
  readonly tmpDir: string;
  readonly networks: string;
  readonly socket: string;
  readonly containersConf: string;
  readonly storageConf: string;
  readonly serviceLog: string;
}

// Podman refuses a runroot over 50 characters, and a Unix socket path over 107 bytes can't be bound.
const longestRun = 38;

/** Makes the engine's folders and clears the per-boot one after a reboot. */
export function prepareFolders(stateDir: string, runtimeDir: string, bootId: string): EngineFolders {
  const state = join(stateDir, "podman");
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const storage = remembered(state, "storage-folder", () =>
    traversableOr(state, join("/var/lib/doorward", shortName(state))),
  );
  const run = remembered(state, "run-folder", () => runFolder(state, runtimeDir));
  const folders = layout(state, storage, run);
  clearAfterReboot(folders.run, bootId);
  for (const path of [folders.graphRoot, folders.runRoot, folders.tmpDir, folders.networks]) {
    mkdirSync(path, { recursive: true, mode: 0o711 });
  }
  openToMachines(run);
  openToMachines(storage);
  keepWritten(join(folders.run, "boot-id"), bootId);
  return folders;
}

/** Lets go of the per-boot files and of the storage's own mount, when no container is left that needs them. */
export async function releaseFolders(folders: EngineFolders): Promise<void> {
  const overlay = join(folders.graphRoot, "overlay");
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? []);
  const ours = mounts.filter(
    (target) => target.startsWith(`${folders.graphRoot}/`) || target.startsWith(`${folders.run}/`),
  );
  if (ours.some((target) => target !== overlay)) return;
  for (const target of ours) await runCommand("umount", [target]);
  rmSync(folders.run, { recursive: true, force: true, maxRetries: 3 });
}

function layout(state: string, storage: string, run: string): EngineFolders {
  return {
    state,
    graphRoot: join(storage, "storage"),
    run,
    runRoot: join(run, "storage"),
    tmpDir: join(run, "libpod"),
    networks: join(state, "networks"),
    socket: join(run, "podman.sock"),
    containersConf: join(state, "containers.conf"),
    storageConf: join(state, "storage.conf"),
    serviceLog: join(state, "service.log"),
  };
}

/** Podman writes these places into its storage, so the first choice is kept for good. */
function remembered(state: string, name: string, choose: () => string): string {
  const memo = join(state, name);
  const known = readText(memo) ?? "";
  const chosen = known === "" ? choose() : known;
  mkdirSync(chosen, { recursive: true, mode: 0o700 });
  requireOwnFolder(chosen);
  keepWritten(memo, chosen);
  return chosen;
}

function runFolder(state: string, runtimeDir: string): string {
  const wanted = join(runtimeDir, "podman");
  const short = Buffer.byteLength(wanted) <= longestRun;
  if (process.getuid?.() === 0) {
    const fallback = join("/run/doorward", shortName(state));
    // The user's own folder under /tmp stays closed: the bridge refuses one that others can enter.
    const closed = isPrivateRuntime({ config: "", state: dirname(state), runtime: runtimeDir });
    return short && !closed ? traversableOr(wanted, fallback) : fallback;
  }
  return short ? wanted : join("/tmp", `doorward-${shortName(state)}`);
}

function shortName(state: string): string {
  return createHash("sha256").update(state).digest("hex").slice(0, 10);
}

/**
 * As root, a machine's range of ids must be able to walk down to Podman's files, and Podman makes it so with chmod on every
 * folder above them, home folders included. A place below a private folder that is not ours is therefore not used.
 */
function traversableOr(wanted: string, fallback: string): string {
  if (process.getuid?.() !== 0) return wanted;
  return closedAncestors(wanted).every((path) => isOurs(path)) ? wanted : fallback;
}

function closedAncestors(path: string): string[] {
  const found: string[] = [];
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false });
    if (stat !== undefined && (stat.mode & 0o001) === 0) found.push(at);
  }
  return found;
}

function isOurs(path: string): boolean {
  return (
    [tmpdir(), "/tmp", "/var/tmp"].some((folder) => path.startsWith(`${folder}/`)) ||
    /(?:^|\/)\.?doorward[^/]*(?:\/|$)/.test(path)
  );
}

function openToMachines(path: string): void {
  if (process.getuid?.() !== 0) return;
  for (const folder of closedAncestors(path)) chmodSync(folder, (statSync(folder).mode & 0o777) | 0o111);
}

function requireOwnFolder(path: string): void {
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.()) {
    throw new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot use run folder "${path}": it is not a folder of this user`,
      hint: `ls -ld ${path}`,
    });
  }
}

/** Where the run folder lies on a disk, Podman would take last boot's containers for running ones. */
function clearAfterReboot(run: string, bootId: string): void {
  const marked = readText(join(run, "boot-id"));
  if (marked === null || marked === bootId) return;
  if (readFileSync("/proc/self/mountinfo", "utf8").includes(` ${run}/`)) return;
  for (const name of ["storage", "libpod", "podman.sock"])
    rmSync(join(run, name), { recursive: true, force: true });
}
