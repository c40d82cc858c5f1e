import { closeSync } from "node:fs";
import { readFile, realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DenialError } from "@doorward/contracts";
import { shellPath, shownPath, type HeldPath } from "../../policy/index.ts";
import { openBeneath } from "./beneath.ts";
import { runGit } from "./run-git.ts";

const POINTER_BYTES = 8_192;

/** The common git folder of a linked worktree, and the name of the worktree's own folder in it. */
export interface LinkedWorktree {
  readonly commonFolder: string;
  /** `worktrees/<id>`. */
  readonly own: string;
}

/**
 * Reads where the `.git` file at a repo's root leads; null when `.git` is a folder or absent. Only a worktree that
 * its common git folder knows as well is accepted: a machine may have written the file, to be given another repo.
 */
export async function linkedWorktree(held: HeldPath): Promise<LinkedWorktree | null> {
  const own = await pointedAt(held);
  if (own === null) return null;
  const common = await pointer(own, "commondir");
  if (common === null) {
    throw unsupported(
      held,
      "its .git file leads to no linked worktree; a submodule is given with its superproject",
    );
  }
  if ((await pointer(own, "gitdir")) !== `${held.resolved}/.git`) {
    throw unsupported(held, `"${shownPath(own)}" does not know it as its worktree`);
  }
  if (dirname(own) !== `${common}/worktrees`)
    throw unsupported(held, "its git folder is not where git puts one");
  return { commonFolder: common, own: own.slice(common.length + 1) };
}

/** Git folder of a submodule, which its `.git` file names and which knows it as its work tree; null when it is none. */
export async function submoduleFolder(held: HeldPath): Promise<string | null> {
  const own = await pointedAt(held);
  if (own === null || (await pointer(own, "commondir")) !== null) return null;
  const config = await readFile(`${own}/config`).catch(() => Buffer.alloc(0));
  const { stdout } = await runGit(["config", "--file", "-", "--no-includes", "--get", "core.worktree"], {
    input: config,
    accept: [1],
  });
  const workTree = stdout.toString("utf8").replace(/\n$/, "");
  if (workTree !== "" && resolve(own, workTree) === held.resolved) return own;
  throw unsupported(held, `"${shownPath(own)}" does not know it as its work tree`);
}

/** Where the `.git` file of a repo leads; null when `.git` is a folder or absent. */
async function pointedAt(held: HeldPath): Promise<string | null> {
  const entry = openBeneath(held.fd, ".git");
  if (entry === null) return null;
  try {
    if (entry.kind === "folder") return null;
    if (entry.kind !== "file" || entry.stat.size > POINTER_BYTES)
      throw unsupported(held, "its .git is no file or folder");
    const text = await readFile(`/proc/self/fd/${entry.fd}`, "utf8");
    const target = /^gitdir: ([^\u0000-\u001f\u007f]+)\n?$/.exec(text)?.[1];
    if (target === undefined) throw unsupported(held, "its .git file can't be read");
    return await realpath(resolve(held.resolved, target)).catch(() => {
      throw unsupported(held, "its .git file leads nowhere");
    });
  } finally {
    closeSync(entry.fd);
  }
}

/** Resolved target of a pointer file of git. */
async function pointer(folder: string, name: string): Promise<string | null> {
  const text = await readFile(`${folder}/${name}`, "utf8").catch(() => null);
  if (text === null || text.length > POINTER_BYTES) return null;
  return realpath(resolve(folder, text.replace(/\n$/, ""))).catch(() => null);
}

function unsupported(held: HeldPath, why: string): DenialError {
  return new DenialError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot mount "${shownPath(held.resolved)}": ${why}`,
    rule: "policy.paths.worktree",
    hint: `doorward up --review ${shellPath(held.resolved)}`,
  });
}
