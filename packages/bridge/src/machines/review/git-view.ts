import { closeSync } from "node:fs";
import { chown, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { holdFolder, shownPath, type HeldPath } from "../../policy/index.ts";
import { openBeneath, type HeldEntry } from "../mounts/beneath.ts";
import { parseSettings } from "../mounts/git-programs.ts";
import { linkedWorktree, submoduleFolder } from "../mounts/linked-worktree.ts";
import { runGit, type GitResult, type GitRun } from "../mounts/run-git.ts";

const SMALL_FILE = 64 * 1024 * 1024;

/** Hash that names the objects of a repository. */
export type ObjectFormat = "sha1" | "sha256";

/**
 * A repository seen through a git folder of ours: its objects and refs, held by descriptor, with settings that we
 * wrote and without hooks. Git never reads a setting of the repository itself, whoever may have written there.
 */
export class GitView implements AsyncDisposable {
  readonly objectFormat: ObjectFormat;
  /** Branch that is checked out; null when HEAD is detached. */
  readonly branch: string | null;
  readonly shallow: string | null;
  readonly #folder: string;
  readonly #parts: Parts;

  private constructor(folder: string, parts: Parts) {
    this.#folder = folder;
    this.#parts = parts;
    this.objectFormat = parts.objectFormat;
    this.shallow = parts.shallow;
    this.branch = /^ref: refs\/heads\/([^\u0000-\u0020\u007f]+)\n?$/.exec(parts.head)?.[1] ?? null;
  }

  /** Opens the repository at a held folder; throws `REPO_UNSUPPORTED` where there is none of a form we know. */
  static async open(held: HeldPath): Promise<GitView> {
    const parts = await openParts(held);
    try {
      // The temp folder, because a git that runs as the repo's owner must reach it; the state folder is ours alone.
      const folder = await mkdtemp(join(tmpdir(), "doorward-git-"));
      const view = new GitView(folder, parts);
      await view.#write();
      return view;
    } catch (error) {
      parts.close();
      throw error;
    }
  }

  /** Runs git on the repository, as its owner where we are root. */
  async git(args: readonly string[], run: GitRun = {}): Promise<GitResult> {
    return runGit([`--git-dir=${this.#folder}`, ...args], {
      ...run,
      descriptors: [this.#parts.objects.fd, this.#parts.refs.fd],
      user: this.#parts.owner,
      env: { ...run.env, TMPDIR: this.#folder },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #write(): Promise<void> {
    const { head, packedRefs, shallow, objectFormat, owner } = this.#parts;
    const files = { HEAD: head, config: viewConfig(objectFormat), "packed-refs": packedRefs, shallow };
    for (const [name, text] of Object.entries(files)) {
      if (text === null) continue;
      await writeFile(join(this.#folder, name), text, { mode: 0o600 });
      if (owner !== undefined) await chown(join(this.#folder, name), owner.uid, owner.gid);
    }
    // Git and what it starts inherit the descriptors under these numbers.
    await symlink("/proc/self/fd/3", join(this.#folder, "objects"));
    await symlink("/proc/self/fd/4", join(this.#folder, "refs"));
    if (owner !== undefined) await chown(this.#folder, owner.uid, owner.gid);
  }
}

/** Settings of a git folder of ours. */
function viewConfig(objectFormat: ObjectFormat): string {
  const version = objectFormat === "sha1" ? 0 : 1;
  const extension = objectFormat === "sha1" ? "" : `[extensions]\n\tobjectFormat = ${objectFormat}\n`;
  return `[core]\n\trepositoryFormatVersion = ${version}\n\tbare = true\n\tlogAllRefUpdates = false\n${extension}`;
}

interface Parts {
  readonly objects: HeldEntry;
  readonly refs: HeldEntry;
  readonly head: string;
  readonly packedRefs: string | null;
  readonly shallow: string | null;
  readonly objectFormat: ObjectFormat;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  close(): void;
}

async function openParts(held: HeldPath): Promise<Parts> {
  const submodule = await submoduleFolder(held);
  const link = submodule === null ? await linkedWorktree(held) : { commonFolder: submodule, own: "" };
  if (link === null) {
    const prefix = gitFolderOf(held);
    return readParts(held, prefix, prefix, held);
  }
  const about = { path: held.path, access: "ro", rule: held.rule } as const;
  await using common = await holdFolder(link.commonFolder, about);
  return await readParts(common, "", link.own, held);
}

async function readParts(common: HeldPath, prefix: string, own: string, held: HeldPath): Promise<Parts> {
  const opened: HeldEntry[] = [];
  const close = (): void => {
    for (const { fd } of opened.splice(0)) closeSync(fd);
  };
  const folder = (name: string): HeldEntry => {
    const entry = openBeneath(common.fd, `${prefix}/${name}`);
    if (entry !== null) opened.push(entry);
    if (entry?.kind === "folder") return entry;
    throw unsupported(held, `its git folder has no folder "${name}"`);
  };
  const file = (path: string): Promise<string | null> => readText(common, path, held);
  try {
    const { objectFormat } = await formatOf(await file(`${prefix}/config`), held);
    return {
      objects: folder("objects"),
      refs: folder("refs"),
      head: (await file(`${own}/HEAD`)) ?? "",
      packedRefs: await file(`${prefix}/packed-refs`),
      shallow: await file(`${prefix}/shallow`),
      objectFormat,
      owner: otherUser(common.owner),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** `.git`, or nothing for a bare repository. */
function gitFolderOf(held: HeldPath): string {
  for (const prefix of [".git", ""]) {
    const head = openBeneath(held.fd, `${prefix}/HEAD`);
    if (head === null) continue;
    closeSync(head.fd);
    if (head.kind === "file") return prefix;
  }
  throw unsupported(held, "it is not the root of a git repository");
}

async function formatOf(config: string | null, held: HeldPath): Promise<{ objectFormat: ObjectFormat }> {
  const { stdout } = await runGit(["config", "--file", "-", "--no-includes", "--list", "-z"], {
    input: config ?? "",
  });
  const settings = parseSettings(stdout.toString("utf8"));
  const value = (key: string): string | undefined =>
    settings.findLast((each) => each.key === key)?.value.toLowerCase();
  const format = value("extensions.objectformat") ?? "sha1";
  const refs = value("extensions.refstorage") ?? "files";
  if (refs === "files" && (format === "sha1" || format === "sha256")) return { objectFormat: format };
  throw unsupported(held, `it keeps objects as "${format}" and refs as "${refs}"`);
}

async function readText(folder: HeldPath, path: string, held: HeldPath): Promise<string | null> {
  const entry = openBeneath(folder.fd, path);
  if (entry === null) return null;
  try {
    if (entry.kind === "file" && entry.stat.size <= SMALL_FILE) {
      return await readFile(`/proc/self/fd/${entry.fd}`, "utf8");
    }
    throw unsupported(held, `"${shownPath(path)}" of it is no small file`);
  } finally {
    closeSync(entry.fd);
  }
}

/** The owner of a repo where that is somebody else than us and we may act for him. */
export function otherUser(
  owner: HeldPath["owner"],
): { readonly uid: number; readonly gid: number } | undefined {
  return process.geteuid?.() === 0 && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : undefined;
}

function unsupported(held: HeldPath, why: string): DoorwardError {
  return new DoorwardError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot make a private clone of "${shownPath(held.resolved)}": ${why}`,
    hint: `doorward up --ro '${shownPath(held.resolved)}'`,
  });
}
