import { constants } from "node:fs";
import { copyFile, lchown, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import { holdFolder, shownPath, type HeldPath } from "../../policy/index.ts";
import { runGit } from "../mounts/run-git.ts";
import { GitView, otherUser, type ObjectFormat } from "./git-view.ts";
import { cloneState, storeReviewed } from "./unreviewed.ts";

/** A private clone of a repo for one machine. */
export interface ReviewClone {
  /** Resolved path of the real repo. */
  readonly repo: string;
  /** Work tree of the clone, which the machine may write. */
  readonly clone: string;
  /** Commit it was made from. */
  readonly base: string;
  readonly notices: readonly string[];
}

/** What a clone is made from. */
export interface ReviewCloneRequest {
  readonly held: HeldPath;
  /** Folder for this clone alone, `<state>/review/<machine>/<n>`; it must not exist. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies branches, tags and HEAD of a repo into a clone of its own: no hard links, no alternates, no hooks, no remotes,
 * no settings. Uncommitted changes are left out: carrying them would mean running the repo's filters on the host, and
 * the result could not be a branch on a commit that the repo has.
 */
export async function createReviewClone(request: ReviewCloneRequest): Promise<ReviewClone> {
  const { held, folder, signal } = request;
  await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
  await mkdir(folder, { mode: 0o700 });
  try {
    await using view = await GitView.open(held);
    const base = await headOf(view, held);
    const refs = await refsOf(view);
    const bare = join(folder, "base.git");
    await initGit(bare, true, view.objectFormat, signal);
    await copyObjects(view, bare, [base, ...refs.map(({ id }) => id)], signal);
    await writeRefs(bare, base, refs, view.branch);
    const clone = join(folder, "work");
    await makeWorkTree(bare, clone, base, refs, view, signal);
    const owner = otherUser(held.owner);
    if (owner !== undefined) await giveTo(clone, owner);
    await storeReviewed(clone, base, await cloneState(clone));
    return { repo: held.resolved, clone, base, notices: noticesOf(view) };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Holds a clone so that it can be mounted; it lies in the state folder, which no policy would allow. */
export async function holdReviewClone(clone: string): Promise<HeldPath> {
  return holdFolder(clone, { path: clone, access: "rw", rule: "policy.review" });
}

/** Removes a clone with its bases and quarantines. */
export async function removeReviewClone(clone: string): Promise<void> {
  await rm(dirname(clone), { recursive: true, force: true });
}

/** Makes an empty repository without a template. */
export async function initGit(
  folder: string,
  bare: boolean,
  objectFormat: ObjectFormat,
  signal?: AbortSignal,
): Promise<void> {
  const kind = bare ? ["--bare"] : [];
  const args = [
    "init",
    "-q",
    "--template=",
    `--object-format=${objectFormat}`,
    "--initial-branch=main",
    ...kind,
  ];
  await runGit([...args, "--", folder], { signal });
}

interface Ref {
  readonly id: string;
  readonly name: string;
}

async function headOf(view: GitView, held: HeldPath): Promise<string> {
  const { exitCode, stdout } = await view.git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], {
    accept: [1, 128],
  });
  if (exitCode === 0) return stdout.toString("utf8").trim();
  throw new DoorwardError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot make a private clone of "${shownPath(held.resolved)}": it has no commit yet`,
    hint: `git -C '${shownPath(held.resolved)}' commit --allow-empty -m start`,
  });
}

async function refsOf(view: GitView): Promise<Ref[]> {
  const format = "--format=%(objectname) %(refname)";
  const { stdout } = await view.git(["for-each-ref", format, "refs/heads", "refs/tags"]);
  const lines = stdout.toString("utf8").split("\n");
  return lines.flatMap((line) => {
    const [, id, name] = /^([0-9a-f]{40,64}) (refs\/(?:heads|tags)\/[^\s]+)$/.exec(line) ?? [];
    return id === undefined || name === undefined ? [] : [{ id, name }];
  });
}

async function copyObjects(
  view: GitView,
  target: string,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  if (view.shallow !== null) await writeFile(join(target, "shallow"), view.shallow, { mode: 0o600 });
  const pack = new PassThrough();
  const revisions = `${[...new Set(ids)].join("\n")}\n`;
  await Promise.all([
    view.git(["pack-objects", "--revs", "--stdout", "--delta-base-offset", "-q"], {
      input: revisions,
      output: pack,
      signal,
    }),
    runGit([`--git-dir=${target}`, "index-pack", "--stdin"], { input: pack, signal }),
  ]);
}

async function writeRefs(
  gitFolder: string,
  base: string,
  refs: readonly Ref[],
  branch: string | null,
): Promise<void> {
  const lines = refs.map(({ id, name }) => `create ${name} ${id}\n`);
  const input = [...lines, `create refs/doorward/base ${base}\n`].join("");
  await runGit([`--git-dir=${gitFolder}`, "update-ref", "--stdin"], { input });
  const head =
    branch === null
      ? ["update-ref", "--no-deref", "HEAD", base]
      : ["symbolic-ref", "HEAD", `refs/heads/${branch}`];
  await runGit([`--git-dir=${gitFolder}`, ...head]);
}

async function makeWorkTree(
  bare: string,
  clone: string,
  base: string,
  refs: readonly Ref[],
  view: GitView,
  signal?: AbortSignal,
): Promise<void> {
  await initGit(clone, false, view.objectFormat, signal);
  const gitFolder = join(clone, ".git");
  await copyPacks(join(bare, "objects", "pack"), join(gitFolder, "objects", "pack"));
  if (view.shallow !== null) await writeFile(join(gitFolder, "shallow"), view.shallow);
  await writeRefs(gitFolder, base, refs, view.branch);
  await runGit([`--git-dir=${gitFolder}`, `--work-tree=${clone}`, "reset", "-q", "--hard"], { signal });
}

/** Copies, never links: the machine may write to the files of its clone. */
async function copyPacks(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    await copyFile(join(from, name), join(to, name), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
}

async function giveTo(folder: string, owner: { readonly uid: number; readonly gid: number }): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  await lchown(folder, owner.uid, owner.gid);
  for (const entry of entries) await lchown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
}

function noticesOf(view: GitView): string[] {
  return [
    "The machine works on a private clone of what is committed; uncommitted changes and ignored files are not in it",
    ...(view.shallow === null ? [] : ["The repo is shallow, and so is the clone"]),
  ];
}
