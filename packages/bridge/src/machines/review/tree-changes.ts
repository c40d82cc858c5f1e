import { runGit, type GitResult } from "../mounts/run-git.ts";

const DIFF = [
  "diff",
  "--no-ext-diff",
  "--no-textconv",
  "--no-color",
  "--submodule=short",
  "--ignore-submodules=none",
];
const SETTINGS = [
  "-c",
  "core.bigFileThreshold=8m",
  "-c",
  "diff.renameLimit=1000",
  "-c",
  "core.quotePath=true",
];

/** One changed path, as raw diff output says it. */
export interface TreeChange {
  readonly path: string;
  /** Octal modes; `000000` where it did not or does not exist. */
  readonly oldMode: string;
  readonly newMode: string;
  readonly oldId: string;
  readonly newId: string;
}

/** How many lines of a path changed; null for binary files. */
export interface LineCount {
  readonly path: string;
  readonly added: number | null;
  readonly removed: number | null;
}

/** Two commits in a quarantine, compared by a git that reads no attributes, no settings and no work tree. */
export class TreeDiff {
  readonly #gitFolder: string;
  readonly #base: string;
  readonly #head: string;
  readonly #signal: AbortSignal | undefined;

  constructor(gitFolder: string, base: string, head: string, signal?: AbortSignal) {
    this.#gitFolder = gitFolder;
    this.#base = base;
    this.#head = head;
    this.#signal = signal;
  }

  async changes(): Promise<TreeChange[]> {
    const { stdout } = await this.#run(["--raw", "-z", "--no-renames", "--no-abbrev"]);
    return parseRaw(stdout.toString("utf8"));
  }

  async counts(): Promise<LineCount[]> {
    const { stdout } = await this.#run(["--numstat", "-z", "--no-renames"]);
    return parseNumstat(stdout.toString("utf8"));
  }

  /** The patch for people, cut at a number of bytes. */
  async patch(maxBytes: number): Promise<GitResult> {
    return this.#run(["--find-renames"], { maxBytes, cut: true });
  }

  /** The patch for `git apply`, binary files included. */
  async binaryPatch(maxBytes: number): Promise<Buffer> {
    return (await this.#run(["--binary", "--full-index", "--no-renames"], { maxBytes })).stdout;
  }

  /** The beginning of a blob. */
  async blob(id: string, maxBytes: number): Promise<string> {
    const args = [`--git-dir=${this.#gitFolder}`, "cat-file", "blob", id];
    const { stdout } = await runGit(args, { maxBytes, cut: true, signal: this.#signal });
    return stdout.toString("utf8");
  }

  async #run(options: readonly string[], run: { maxBytes?: number; cut?: boolean } = {}): Promise<GitResult> {
    const args = [
      `--git-dir=${this.#gitFolder}`,
      ...SETTINGS,
      ...DIFF,
      ...options,
      this.#base,
      this.#head,
      "--",
    ];
    return runGit(args, { ...run, milliseconds: 120_000, signal: this.#signal });
  }
}

/** Parses `git diff --raw -z --no-renames`. */
function parseRaw(output: string): TreeChange[] {
  const fields = output.split("\0");
  const changes: TreeChange[] = [];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [, oldMode, newMode, oldId, newId] =
      /^:(\d{6}) (\d{6}) (\w+) (\w+) [A-Z]\d*$/.exec(fields[index] ?? "") ?? [];
    const path = fields[index + 1];
    if (path === undefined || oldMode === undefined || newMode === undefined) continue;
    changes.push({ path, oldMode, newMode, oldId: oldId ?? "", newId: newId ?? "" });
  }
  return changes;
}

/** Parses `git diff --numstat -z --no-renames`. */
function parseNumstat(output: string): LineCount[] {
  return output.split("\0").flatMap((line) => {
    const [, added, removed, path] = /^(\d+|-)\t(\d+|-)\t([^]*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    const count = (text: string | undefined): number | null => (text === "-" ? null : Number(text));
    return [{ path, added: count(added), removed: count(removed) }];
  });
}
