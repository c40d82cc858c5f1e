import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { namedPaths, parseSettings } from "./git-programs.ts";
import { runGit } from "./run-git.ts";

const CONFIG_BYTES = 1_048_576;

/**
 * Paths that git settings outside a mounted folder name as programs, relative to the folder; `""` is the folder itself.
 * They stand in the common git folder of a linked worktree, or in the repositories around a folder that is part of one.
 */
export async function namedFromOutside(folder: string, commonGitFolder: string | null): Promise<string[]> {
  if (commonGitFolder !== null) return namesIn(join(commonGitFolder, "config"), folder, folder);
  const found: string[] = [];
  for (let at = dirname(folder); at !== dirname(at); at = dirname(at))
    found.push(...(await namesIn(join(at, ".git", "config"), at, folder)));
  return found;
}

async function namesIn(config: string, workTree: string, folder: string): Promise<string[]> {
  const input = await readFileOf(config);
  if (input === null) return [];
  const { stdout } = await runGit(["config", "--file", "-", "--no-includes", "--list", "-z"], { input });
  const paths = namedPaths(parseSettings(stdout.toString("utf8")), workTree, ".git");
  return paths.flatMap((path) => within(folder, join(workTree, path)));
}

function within(folder: string, path: string): string[] {
  if (folder === path || folder.startsWith(`${path}/`)) return [""];
  return path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [];
}

/** A regular file's first bytes; null for anything else, without waiting for the other end of a pipe. */
async function readFileOf(path: string): Promise<Buffer | null> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const file = await open(path, flags).catch(() => null);
  if (file === null) return null;
  try {
    if (!(await file.stat()).isFile()) return null;
    const buffer = Buffer.alloc(CONFIG_BYTES);
    return buffer.subarray(0, (await file.read(buffer, 0, CONFIG_BYTES, 0)).bytesRead);
  } finally {
    await file.close();
  }
}
