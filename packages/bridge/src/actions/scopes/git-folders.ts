import { lstat, readFile, realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

/** Programs that look for a repository above the folder they work in, and do what its configuration says. */
const LOOKING: ReadonlySet<string> = new Set(["git", "gh"]);
const MAX_POINTER_BYTES = 8192;

/**
 * The folders whose configuration a program would find from a folder, resolved: a work tree's `.git` may be a link, or a
 * file that names a folder far away, whose `commondir` names yet another. Empty for programs that look for none.
 */
export async function gitFoldersOf(programs: readonly string[], folder: string): Promise<readonly string[]> {
  if (!programs.some((program) => LOOKING.has(basename(program)))) return [];
  const found = await above(folder);
  if (found === null) return [];
  const gitDir = await pointedTo(found);
  const common = await pointer(join(gitDir, "commondir"));
  return common === null ? [gitDir] : [gitDir, await resolvedOr(resolve(gitDir, common))];
}

async function above(folder: string): Promise<string | null> {
  const here = join(folder, ".git");
  const there = await lstat(here).catch(() => null);
  if (there !== null) return here;
  const parent = dirname(folder);
  return parent === folder ? null : await above(parent);
}

async function pointedTo(path: string): Promise<string> {
  const named = /^gitdir: (.+)$/.exec((await pointer(path)) ?? "")?.[1];
  return await resolvedOr(named === undefined ? path : resolve(dirname(path), named));
}

/** What a small file says in its one line; null for anything else. */
async function pointer(path: string): Promise<string | null> {
  const text = await readFile(path, "utf8").catch(() => null);
  return text === null || text.length > MAX_POINTER_BYTES ? null : text.trimEnd();
}

async function resolvedOr(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}
