import { closeSync, constants, openSync, readSync } from "node:fs";
import { DenialError, type AgentMachineProfile } from "@doorward/contracts";
import { PROTECTED_IN_GIT, PROTECTED_IN_REPO, shellPath, shownPath } from "../../policy/index.ts";
import { openBeneath, type HeldEntry } from "./beneath.ts";
import { namedPaths, parseSettings, type GitSetting } from "./git-programs.ts";
import { runGit } from "./run-git.ts";
import type { RepoScan } from "./scan-repo.ts";

const CONFIG_BYTES = 1_048_576;

/** A name that is created because it can be protected only once it exists. */
export interface Pin {
  readonly path: string;
  readonly kind: "folder" | "file";
  readonly content: string;
}

/** What of one mount is read-only. Paths are relative to it. */
export interface Protections {
  /** Existing names, none of them inside another. */
  readonly paths: readonly string[];
  readonly pins: readonly Pin[];
  /** Names that would be protected if they existed. */
  readonly absent: readonly string[];
}

/** A folder whose protections are planned. */
export interface ProtectedFolder {
  readonly fd: number;
  readonly hostPath: string;
  readonly scan: RepoScan;
  readonly protect: readonly string[];
  readonly profile: AgentMachineProfile;
  /** Paths that settings outside the folder name as programs. */
  readonly named?: readonly string[];
}

/** Decides what is read-only in a writable mount; refuses a protected name that is a symlink. */
export async function planProtections(folder: ProtectedFolder): Promise<Protections> {
  for (const path of folder.scan.gitFolders) refuseElsewhere(folder, path);
  const { named = [] } = folder;
  if (named.includes(""))
    throw unsupported(folder.hostPath, ".", "git of a repo around it runs programs from it");
  const wanted = new Set([...namesInRepos(folder), ...(await namesOfConfigs(folder)), ...named]);
  for (const path of folder.scan.gitNames) wanted.add(path);
  for (const path of folder.scan.worktrees) {
    for (const name of ["commondir", "gitdir", "config.worktree"]) wanted.add(join(path, name));
  }
  const pins = pinsOf(folder);
  for (const pin of pins) wanted.add(pin.path);
  const pinned = new Set(pins.map(({ path }) => path));
  const present = [...wanted].filter((path) => pinned.has(path) || exists(folder, path));
  return {
    paths: outermost(present),
    pins: pins.filter(({ path }) => !exists(folder, path)),
    absent: [...wanted].filter((path) => !present.includes(path)).sort(),
  };
}

/** Roots of repositories: the mount itself, and whatever folder holds a `.git`. */
function repositoryRoots(scan: RepoScan): string[] {
  const names = [...scan.gitFolders, ...scan.gitNames].filter((path) => /(?:^|\/)\.git$/i.test(path));
  return [...new Set(["", ...names.map((path) => path.slice(0, -5))])];
}

/** Whether a path is one of these, or lies in one. */
export function isCovered(path: string, covering: ReadonlySet<string>): boolean {
  for (let at = path.length; at > 0; at = path.lastIndexOf("/", at - 1)) {
    if (covering.has(path.slice(0, at))) return true;
  }
  return false;
}

function namesInRepos({ scan, protect, profile }: ProtectedFolder): string[] {
  const relaxed = profile.isolation.relaxations.includes("unprotected-git-config");
  const gitNames = PROTECTED_IN_GIT.filter((name) => !relaxed || !name.startsWith("config"));
  const everywhere = [...PROTECTED_IN_REPO, ...protect.filter((name) => !name.includes("/"))];
  const here = protect.filter((name) => name.includes("/")).map((name) => name.replace(/\/+$/, ""));
  const bare = scan.gitFolders.includes("");
  const inRepos = repositoryRoots(scan).flatMap((root) =>
    bare ? [] : everywhere.map((name) => join(root, name)),
  );
  const inGit = scan.gitFolders.flatMap((root) => gitNames.map((name) => join(root, name)));
  return [...inRepos, ...here, ...inGit];
}

/** Hook folders, included settings and programs that a repository's config names in the repo itself. */
async function namesOfConfigs(folder: ProtectedFolder): Promise<string[]> {
  const own = folder.scan.gitFolders.filter((path) => /(?:^|\/)\.git$/.test(path));
  const found: string[] = [];
  for (const gitFolder of own) {
    const root = gitFolder.slice(0, -5);
    const host = root === "" ? folder.hostPath : `${folder.hostPath}/${root}`;
    const settings = await readSettings(folder, join(gitFolder, "config"));
    found.push(...namedPaths(settings, host, ".git").map((path) => join(root, path)));
  }
  return found;
}

async function readSettings(folder: ProtectedFolder, path: string): Promise<GitSetting[]> {
  const text = readText(folder, path);
  if (text === null) return [];
  try {
    const { stdout } = await runGit(["config", "--file", "-", "--no-includes", "--list", "-z"], {
      input: text,
      milliseconds: 10_000,
    });
    return parseSettings(stdout.toString("utf8"));
  } catch (cause) {
    throw unsupported(folder.hostPath, path, "its settings can't be read", cause);
  }
}

function readText(folder: ProtectedFolder, path: string): Buffer | null {
  const entry = open(folder, path);
  if (entry === null) return null;
  try {
    if (entry.kind !== "file") return null;
    if (entry.stat.size > CONFIG_BYTES) throw unsupported(folder.hostPath, path, "it is too large");
    const fd = openSync(`/proc/self/fd/${entry.fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(CONFIG_BYTES);
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(entry.fd);
  }
}

/** A git folder whose `commondir` leads elsewhere takes settings and hooks from there; git itself writes none like that. */
function refuseElsewhere(folder: ProtectedFolder, gitFolder: string): void {
  const text = readText(folder, join(gitFolder, "commondir"));
  if (text === null || text.toString("utf8").trim() === ".") return;
  throw unsupported(
    folder.hostPath,
    join(gitFolder, "commondir"),
    "it makes git take settings from elsewhere",
  );
}

/**
 * A mount can protect only what exists, and a missing `hooks`, `config` or `commondir` could be created by the machine.
 * Git reads them as given here exactly as if they were absent, and none of them is visible in the work tree.
 */
function pinsOf(folder: ProtectedFolder): Pin[] {
  const { scan, profile } = folder;
  const relaxed = profile.isolation.relaxations.includes("unprotected-git-config");
  // A bare repository in the work tree is content (a test's data), not a place to add files to.
  const inside = scan.gitFolders.filter((path) => path === "" || /(?:^|\/)\.git(?:\/|$)/.test(path));
  const readsMore = relaxed ? [] : inside.filter((root) => hasWorktreeConfig(folder, root));
  const perWorktree = readsMore.length === 0 ? [] : [...readsMore, ...scan.worktrees];
  return [
    ...inside.flatMap((root): Pin[] => [
      { path: join(root, "hooks"), kind: "folder", content: "" },
      ...(relaxed ? [] : [{ path: join(root, "config"), kind: "file", content: "" } as const]),
      { path: join(root, "commondir"), kind: "file", content: ".\n" },
    ]),
    ...perWorktree.map((root): Pin => ({ path: join(root, "config.worktree"), kind: "file", content: "" })),
  ];
}

/** With `extensions.worktreeConfig`, git takes settings from `config.worktree` too, which need not exist yet. */
function hasWorktreeConfig(folder: ProtectedFolder, gitFolder: string): boolean {
  const text = readText(folder, join(gitFolder, "config"));
  return text !== null && /worktreeconfig/i.test(text.toString("latin1"));
}

function exists(folder: ProtectedFolder, path: string): boolean {
  const entry = open(folder, path);
  if (entry === null) return false;
  closeSync(entry.fd);
  const protectable = entry.kind === "file" || entry.kind === "folder";
  if (protectable) return true;
  throw unsupported(
    folder.hostPath,
    path,
    entry.kind === "link" ? "it is a symlink" : "it is no file or folder",
  );
}

/** A symlink on the way to a protected name could be replaced like one at its end. */
function open(folder: ProtectedFolder, path: string): HeldEntry | null {
  try {
    return openBeneath(folder.fd, path);
  } catch (cause) {
    throw unsupported(folder.hostPath, path, "a symlink stands on the way to it", cause);
  }
}

/** Removes paths that lie in another one. */
function outermost(paths: readonly string[]): string[] {
  const all = new Set(paths);
  return paths.filter((path) => {
    const end = path.lastIndexOf("/");
    return end < 0 || !isCovered(path.slice(0, end), all);
  });
}

function join(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

function unsupported(repo: string, path: string, why: string, cause?: unknown): DenialError {
  return new DenialError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot protect "${shownPath(path)}" of "${shownPath(repo)}": ${why}`,
    rule: "policy.protect",
    hint: `doorward up --review ${shellPath(repo)}`,
    details: { repo, path },
    cause,
  });
}
