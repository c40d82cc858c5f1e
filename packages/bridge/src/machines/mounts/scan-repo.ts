import { lstatSync } from "node:fs";
import { looksSecret, type Glob } from "../../policy/index.ts";
import { isAbsent } from "./beneath.ts";
import { walkTree, type Visitor, type WalkEntry } from "./walk-tree.ts";

const LISTED = 1000;

/** A name that is masked: by a glob, or because it is a socket of the host. */
export interface MaskedName {
  readonly path: string;
  readonly kind: "file" | "folder";
}

/** A file that has more than one name. */
export interface LinkedFile {
  readonly links: number;
  readonly paths: string[];
}

/** What a walk through a repo found. Paths are relative to it. */
export interface RepoScan {
  /** Git folders: `.git`, those of submodules under `.git/modules`, bare ones; `""` is the repo itself. */
  readonly gitFolders: readonly string[];
  /** Names `.git` that are no git folder: files of worktrees and submodules, half-made folders, links. */
  readonly gitNames: readonly string[];
  /** Folders of linked worktrees inside git folders. */
  readonly worktrees: readonly string[];
  readonly masked: readonly MaskedName[];
  readonly sockets: readonly string[];
  readonly devices: readonly string[];
  /** Names that look secret and are not masked. */
  readonly secrets: readonly string[];
  /** Files with several names, by device and inode. */
  readonly linked: ReadonlyMap<string, LinkedFile>;
  readonly entries: number;
}

/** What a scan looks for, besides git. */
export interface ScanAsk {
  readonly hide: readonly Glob[];
  /** Whether links are counted, which needs a look at every file. */
  readonly countLinks: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Walks a held repo once and collects everything that planning its mounts needs. */
export async function scanRepo(root: number, ask: ScanAsk): Promise<RepoScan> {
  const found = new Findings(ask);
  const entries = await walkTree(root, found, undefined, ask.signal);
  return { ...found.scan(), entries };
}

class Findings implements Visitor {
  readonly #ask: ScanAsk;
  readonly #gitFolders: string[] = [];
  readonly #gitNames = new Set<string>();
  readonly #worktrees: string[] = [];
  readonly #masked: MaskedName[] = [];
  readonly #sockets: string[] = [];
  readonly #devices: string[] = [];
  readonly #secrets: string[] = [];
  readonly #linked = new Map<string, LinkedFile>();

  constructor(ask: ScanAsk) {
    this.#ask = ask;
  }

  scan(): Omit<RepoScan, "entries"> {
    for (const folder of this.#gitFolders) this.#gitNames.delete(folder);
    return {
      gitFolders: this.#gitFolders,
      gitNames: [...this.#gitNames],
      worktrees: this.#worktrees,
      masked: this.#masked,
      sockets: this.#sockets,
      devices: this.#devices,
      secrets: this.#secrets,
      linked: this.#linked,
    };
  }

  folder(path: string, names: ReadonlySet<string>): void {
    if (names.has("HEAD") && names.has("objects") && names.has("refs")) this.#gitFolders.push(path);
    else if (names.has("commondir") && names.has("gitdir")) this.#worktrees.push(path);
  }

  entry({ path, name, dirent, at }: WalkEntry): boolean {
    if (this.#ask.hide.some((glob) => glob.matches(path))) {
      this.#masked.push({ path, kind: dirent.isDirectory() ? "folder" : "file" });
      return false;
    }
    if (isGitName(name)) this.#gitNames.add(path);
    if (this.#secrets.length < LISTED && looksSecret(name)) this.#secrets.push(path);
    if (dirent.isSocket()) this.#sockets.push(path);
    if (dirent.isBlockDevice() || dirent.isCharacterDevice()) this.#devices.push(path);
    if (this.#ask.countLinks && dirent.isFile()) this.#count(path, at);
    return true;
  }

  #count(path: string, at: string | Buffer): void {
    try {
      const { nlink, dev, ino } = lstatSync(at);
      if (nlink < 2) return;
      const key = `${dev}:${ino}`;
      const known = this.#linked.get(key);
      if (known === undefined) this.#linked.set(key, { links: nlink, paths: [path] });
      else known.paths.push(path);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
}

/** Git on a file system that folds case takes `.GIT` for `.git`. */
function isGitName(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === ".git";
}
