import { execFileSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import type { EngineExit, EngineMount, EngineSpec } from "../src/machines/engine.ts";
import { prepareFolders, type EngineFolders } from "../src/machines/podman/engine-folders.ts";
import { podmanInvocation } from "../src/machines/podman/podman-config.ts";
import { PodmanEngine } from "../src/machines/podman/podman-engine.ts";
import { findProgram } from "../src/machines/podman/runtime-choice.ts";

export const never = new AbortController().signal;
export const REPO_OWNER = 4321;
const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** Why these tests can't run here, or `false`. */
export const skipped =
  findProgram("podman") === null
    ? "Podman is not installed"
    : process.getuid?.() !== 0
      ? "needs root"
      : false;

/** An engine on its own storage under a temp folder, with an image whose programs are the host's own `/usr`. */
export interface Lab extends AsyncDisposable {
  readonly root: string;
  readonly folders: EngineFolders;
  readonly imageId: string;
  readonly engine: PodmanEngine;
  /** A folder that belongs to an ordinary user. */
  repo(name: string): string;
  spec(name: string, command: readonly string[], change?: Partial<EngineSpec>): EngineSpec;
  /** Opens another engine on the same state, after the first was disposed. */
  reopen(): Promise<PodmanEngine>;
  /** Waits for the end of a container. */
  ended(containerId: string): Promise<EngineExit>;
}

/** Opens a lab on a fresh folder, or on one that an earlier lab left. */
export async function openLab(left: { readonly root?: string } = {}): Promise<Lab> {
  const root = left.root ?? mkdtempSync("/var/tmp/dwlab-");
  const options = {
    stateDir: join(root, "state"),
    runtimeDir: join(root, "run"),
    installationId: `i_${root.slice(-6)}`,
    log: pino({ level: process.env["LAB_LOG"] ?? "silent" }, pino.destination(2)),
    signal: never,
  };
  let engine = await PodmanEngine.open(options);
  const folders = prepareFolders(options.stateDir, options.runtimeDir, bootId);
  const imageId = importTinyImage(root, folders);
  const exits = new Map<string, EngineExit>();
  const follow = (): Disposable => engine.onExit((exit) => exits.set(exit.containerId, exit));
  follow();
  return {
    root,
    folders,
    imageId,
    get engine() {
      return engine;
    },
    repo: (name) => makeRepo(join(root, name)),
    spec: (name, command, change) => labSpec(options.installationId, imageId, name, command, change),
    reopen: async () => {
      await engine[Symbol.asyncDispose]();
      engine = await PodmanEngine.open(options);
      follow();
      return engine;
    },
    ended: async (containerId) => {
      for (let round = 0; round < 4800; round++) {
        const exit = exits.get(containerId);
        if (exit !== undefined) return exit;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      throw new Error(`container ${containerId} has not ended`);
    },
    [Symbol.asyncDispose]: async () => {
      for (const { containerId } of await engine.list()) await engine.remove(containerId, 0);
      await engine[Symbol.asyncDispose]();
      unmountBelow(root);
      // conmon's clean-up of the last machines may still write its events.
      rmSync(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

/** Mounts that lie below a folder, as the host sees them. */
export function mountsBelow(folder: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines
    .flatMap((line) => line.split(" ")[4] ?? [])
    .filter((target) => target.startsWith(`${folder}/`));
}

function unmountBelow(folder: string): void {
  for (const target of mountsBelow(folder).reverse()) execFileSync("umount", ["--lazy", target]);
}

function importTinyImage(root: string, folders: EngineFolders): string {
  const tree = join(root, "tree");
  rmSync(tree, { recursive: true, force: true });
  for (const name of [
    "usr",
    "etc",
    "tmp",
    "run",
    "var/tmp",
    "proc",
    "sys",
    "dev",
    "workspace",
    "home/agent",
  ]) {
    mkdirSync(join(tree, name), { recursive: true });
  }
  for (const name of ["bin", "sbin", "lib", "lib64"])
    if (existsSync(`/${name}`)) symlinkSync(`usr/${name}`, join(tree, name));
  const archive = join(root, "tree.tar");
  execFileSync("tar", ["-C", tree, "-cf", archive, "."]);
  const { args, env } = podmanInvocation(folders);
  const id = execFileSync("podman", [...args, "import", "--quiet", archive, "localhost/lab/tiny:1"], {
    env,
    encoding: "utf8",
  });
  return `sha256:${id.trim().replace(/^sha256:/, "")}`;
}

function makeRepo(path: string): string {
  mkdirSync(path, { recursive: true });
  chownSync(path, REPO_OWNER, REPO_OWNER);
  return path;
}

/** A bind mount of what a path is right now. */
export function mountOf(source: string, target: string, change: Partial<EngineMount> = {}): EngineMount {
  const { dev, ino, uid, gid } = statSync(source);
  return {
    source,
    target,
    access: "rw",
    role: "repo",
    identity: { dev, ino },
    mapOwner: true,
    owner: { uid, gid },
    ...change,
  };
}

const MiB = 1024 * 1024;
let ranges = 0;

function labSpec(
  installationId: string,
  imageId: string,
  name: string,
  command: readonly string[],
  { mounts = [], ...change }: Partial<EngineSpec> = {},
): EngineSpec {
  return {
    name: `${installationId.slice(2)}-${name}`,
    machineId: `m_${name.replaceAll("-", "").padEnd(12, "0")}`,
    installationId,
    imageId,
    command,
    workdir: "/workspace",
    hostname: name,
    env: { HOME: "/tmp", PATH: "/usr/bin:/bin:/usr/sbin" },
    user: { uid: 1000, gid: 1000 },
    idRangeStart: 3_000_000 + ranges++ * 65_536,
    mounts: [mountOf("/usr", "/usr", { access: "ro", role: "guest-runtime", mapOwner: false }), ...mounts],
    tmpfs: [{ target: "/tmp", sizeBytes: 32 * MiB, mode: 0o1777 }],
    limits: { memoryBytes: 256 * MiB, pids: 64, cpus: 0.5, nofile: 2048, nproc: 64, shmBytes: 8 * MiB },
    relaxations: [],
    seccomp: "machine",
    ...change,
  };
}
