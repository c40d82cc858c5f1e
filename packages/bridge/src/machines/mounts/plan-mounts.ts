import { DenialError, DoorwardError, type AgentMachineProfile } from "@doorward/contracts";
import { compileGlob, shellPath, shownPath, type Glob, type HeldPath } from "../../policy/index.ts";
import type { EngineMount } from "../engine.ts";
import { refuseHardLinks } from "./hard-links.ts";
import { Holdings } from "./holdings.ts";
import { linkedWorktree, type LinkedWorktree } from "./linked-worktree.ts";
import { Masks } from "./masks.ts";
import { MachineFolders } from "./machine-folders.ts";
import { noticesOf, type MountArea } from "./mount-area.ts";
import { createPins } from "./pins.ts";
import { namedFromOutside } from "./outer-settings.ts";
import { isCovered, planProtections, type Protections } from "./protections.ts";
import {
  refuseMountsBeneath,
  refuseOverlap,
  refuseProtectedFolder,
  refuseSpecialFiles,
} from "./repo-form.ts";
import { scanRepo } from "./scan-repo.ts";

/** Most mounts of one machine: each stands in the launch record, which has a size limit, and costs the runtime time. */
const MOUNTS = 150;
const LISTED = 1_000;
const WORKSPACE = "/workspace";

/** A repo to mount. */
export interface RepoToMount {
  readonly held: HeldPath;
  /** Host path that it stands for where that is another one: the real repo of a private clone. */
  readonly hostPath?: string;
  /** A private clone: the host never trusts what is in it, so nothing of it is protected. */
  readonly clone?: boolean;
}

/** What mounts are planned from. */
export interface MountRequest {
  readonly repos: readonly RepoToMount[];
  readonly profile: AgentMachineProfile;
  /** Globs to mask, besides the profile's. */
  readonly hide: readonly string[];
  /** Names to protect, besides the built-in ones. */
  readonly protect: readonly string[];
  /** Folder of the bridge for what is bound over masked names. */
  readonly masksDir: string;
  /** Judges and holds the common git folder of a linked worktree. */
  readonly hold: (path: string, access: "ro" | "rw") => Promise<HeldPath>;
  readonly signal?: AbortSignal | undefined;
}

/** Where a repo stands in the machine. */
export interface PlannedRepo {
  readonly hostPath: string;
  readonly machinePath: string;
  readonly access: "ro" | "rw";
}

/** A writable folder and what of it is protected; kept with the machine, for the report at its end. */
export interface ProtectionRecord {
  readonly hostPath: string;
  readonly machinePath: string;
  /** Protected paths, relative to the folder. */
  readonly protected: readonly string[];
  /** Paths that may have been created to be protected, by this launch or an earlier one. */
  readonly pins: readonly string[];
}

/** The mounts of a machine, in mount order. Sources stay held until it is disposed. */
export interface MountPlan extends AsyncDisposable {
  readonly mounts: readonly EngineMount[];
  readonly repos: readonly PlannedRepo[];
  /** What a careful user should know. */
  readonly notices: readonly string[];
  /** Names that look secret and are visible, as machine paths. */
  readonly listed: readonly string[];
  readonly protections: readonly ProtectionRecord[];
  /** Looks again, name by name and through no symlink, whether every source is still what was decided. */
  verify(): void;
}

const NONE: Protections = { paths: [], pins: [], absent: [] };

/** Plans the mounts of a machine from held repos; refuses what mounts can't protect. Changes nothing before all is decided. */
export async function planMounts(request: MountRequest): Promise<MountPlan> {
  const held = new Holdings();
  try {
    const areas = await planAreas(request, held);
    const writable = areas.filter((area) => area.guarded);
    refuseHardLinks(
      writable.map((area) => {
        const covered = new Set([...area.protections.paths, ...area.scan.masked.map(({ path }) => path)]);
        return {
          hostPath: area.hostPath,
          linked: area.scan.linked,
          guarded: (path) => isCovered(path, covered),
        };
      }),
    );
    for (const area of writable) createPins(area.held.fd, area.protections.pins);
    const masks = await Masks.open(request.masksDir);
    const mounts: EngineMount[] = [];
    for (const area of areas) mounts.push(...(await mountsOf(area, masks, held)));
    if (mounts.length > MOUNTS) throw tooMany(areas[0], mounts.length);
    return describe(areas, mounts, held, request);
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

async function planAreas(request: MountRequest, held: Holdings): Promise<MountArea[]> {
  refuseOverlap(request.repos.map((repo) => repo.held));
  const globs = [...request.profile.mounts.hide, ...request.hide].map(readGlob);
  const names = new MachineFolders();
  const areas: MountArea[] = [];
  for (const repo of request.repos) {
    if (repo.clone !== true) refuseProtectedFolder(repo.held);
    const name = names.take(repo.hostPath ?? repo.held.resolved);
    const link = repo.clone === true ? null : await worktreeOf(repo.held);
    const inner =
      link === null ? undefined : request.repos.find((each) => isIn(link.commonFolder, each.held.resolved));
    const gitTarget = inner === undefined ? `${WORKSPACE}/.git-${name}` : null;
    const innerTarget = areas.find((area) => area.held === inner?.held)?.target;
    const gitBase =
      gitTarget ?? `${innerTarget ?? ""}${link?.commonFolder.slice(inner?.held.resolved.length) ?? ""}`;
    if (link !== null && gitTarget === null && innerTarget === undefined)
      throw orderOf(repo.held, inner?.held);
    const { commonFolder = "", own = "" } = link ?? {};
    const worktree = link === null ? null : { gitFolder: `${gitBase}/${own}`, commonFolder };
    areas.push(await planArea(repo, `${WORKSPACE}/${name}`, worktree, globs, request));
    if (link === null || gitTarget === null) continue;
    const common = held.keep(await holdCommon(repo.held, link, request));
    areas.push(await planArea({ held: common }, gitTarget, null, globs, request));
  }
  return areas;
}

async function planArea(
  repo: RepoToMount,
  target: string,
  worktree: MountArea["worktree"],
  hide: readonly Glob[],
  request: MountRequest,
): Promise<MountArea> {
  const { held } = repo;
  const hostPath = repo.hostPath ?? held.resolved;
  const writable = held.access === "rw";
  const guarded = writable && repo.clone !== true;
  await refuseMountsBeneath(held);
  const scan = await scanRepo(held.fd, { hide, countLinks: guarded, signal: request.signal });
  if (repo.clone !== true) refuseSpecialFiles(held, scan);
  const { protect, profile } = request;
  const plan = async (): Promise<Protections> => {
    const named = await namedFromOutside(held.resolved, worktree?.commonFolder ?? null);
    return planProtections({ fd: held.fd, hostPath: held.resolved, scan, protect, profile, named });
  };
  const protections = guarded ? await plan() : NONE;
  return { held, hostPath, target, writable, guarded, scan, protections, worktree };
}

/** A read-only worktree without its git folder is still of use; a writable one would not be protected. */
async function worktreeOf(held: HeldPath): Promise<LinkedWorktree | null> {
  try {
    return await linkedWorktree(held);
  } catch (error) {
    if (held.access === "ro") return null;
    throw error;
  }
}

async function holdCommon(held: HeldPath, link: LinkedWorktree, request: MountRequest): Promise<HeldPath> {
  try {
    return await request.hold(link.commonFolder, held.access);
  } catch (cause) {
    throw new DenialError({
      code: "REPO_UNSUPPORTED",
      message: `Cannot mount "${shownPath(held.resolved)}": its common git folder "${shownPath(link.commonFolder)}" may not be given to a machine`,
      rule: "policy.paths.worktree",
      hint: `doorward up --review ${shellPath(held.resolved)}`,
      cause,
    });
  }
}

/** Parents before children: the repo, its folders on the way to protected names bound onto themselves, then those names. */
async function mountsOf(area: MountArea, masks: Masks, held: Holdings): Promise<EngineMount[]> {
  const { held: repo, target, scan } = area;
  const access = repo.access;
  const base = { mapOwner: true, owner: repo.owner };
  const mounts: EngineMount[] = [
    { ...base, source: repo.resolved, target, access, role: "repo", identity: repo.identity },
  ];
  const bind = (path: string, role: "protected" | "mount-point"): EngineMount => {
    const identity = held.take(repo, path);
    const source = `${repo.resolved}/${path}`;
    return {
      ...base,
      source,
      target: `${target}/${path}`,
      access: role === "protected" ? "ro" : access,
      role,
      identity,
    };
  };
  const mask = async (path: string, source: string, role: "hidden" | "protected"): Promise<EngineMount> => {
    const identity = await held.identify(source);
    return { ...base, mapOwner: false, source, target: `${target}/${path}`, access: "ro", role, identity };
  };
  const masked = new Set([...scan.masked.map(({ path }) => path), ...scan.sockets]);
  const own = area.protections.paths.filter((path) => !isCovered(path, masked));
  for (const path of mountPoints(own)) mounts.push(bind(path, "mount-point"));
  for (const path of own) {
    if (area.worktree === null || path !== ".git") mounts.push(bind(path, "protected"));
  }
  if (area.worktree !== null) {
    const pointer = await masks.content(`gitdir: ${area.worktree.gitFolder}\n`);
    mounts.push(await mask(".git", pointer, "protected"));
  }
  for (const { path, kind } of scan.masked) {
    mounts.push(await mask(path, kind === "folder" ? masks.folder : masks.file, "hidden"));
  }
  for (const path of scan.sockets) mounts.push(await mask(path, masks.file, "hidden"));
  return mounts.sort((one, other) => depth(one.target) - depth(other.target));
}

/** Every folder on the way to a protected name: without a mount of its own it could be moved away with what is in it. */
function mountPoints(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      folders.add(path.slice(0, end));
    }
  }
  return [...folders];
}

function describe(
  areas: readonly MountArea[],
  mounts: EngineMount[],
  held: Holdings,
  request: MountRequest,
): MountPlan {
  const shown = new Set(request.repos.map((repo) => repo.held));
  const repos = areas.filter((area) => shown.has(area.held));
  return {
    mounts,
    repos: repos.map(({ hostPath, target, held: { access } }) => ({ hostPath, machinePath: target, access })),
    notices: areas.flatMap(noticesOf),
    listed: areas
      .flatMap(({ target, scan }) => scan.secrets.map((path) => `${target}/${shownPath(path)}`))
      .slice(0, LISTED),
    protections: areas.filter(({ guarded }) => guarded).map(recordOf),
    verify: () => held.verify(),
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  };
}

function recordOf({ hostPath, target, protections }: MountArea): ProtectionRecord {
  const pins = protections.paths.filter((path) => /(?:^|\/)commondir$/.test(path));
  return { hostPath, machinePath: target, protected: protections.paths, pins };
}

function readGlob(text: string): Glob {
  const glob = compileGlob(text);
  if (glob.problem === null) return glob;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot hide names: ${glob.problem}`,
    hint: "doorward up --hide '.env*'",
  });
}

function isIn(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

function depth(path: string): number {
  return path.split("/").length;
}

function orderOf(worktree: HeldPath, main: HeldPath | undefined): DoorwardError {
  const paths = [main?.resolved ?? "", worktree.resolved].map(shellPath).join(" ");
  return new DoorwardError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot mount "${shownPath(worktree.resolved)}": it is a worktree of a repo that is given after it`,
    hint: `doorward up ${paths}`,
  });
}

function tooMany(area: MountArea | undefined, count: number): DenialError {
  const repo = area?.hostPath ?? "";
  return new DenialError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot mount "${shownPath(repo)}": its protections need ${count} mounts, more than ${MOUNTS}`,
    rule: "policy.protect",
    hint: `doorward up --review ${shellPath(repo)}`,
  });
}
