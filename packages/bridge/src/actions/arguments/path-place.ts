import { lstat, realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { liesIn } from "../../policy/deny-list.ts";
import { quoted } from "../scopes/violation.ts";
import { ArgumentRefusal } from "./argument-problem.ts";
import type { PathArgument } from "./match-command.ts";

/** Folders that paths may lie in, and places within them that they may not; both resolved. */
export interface PathPlaces {
  readonly roots: readonly string[];
  /** Whether a resolved path is one that is never given, and why; null when it is not. */
  readonly never: (resolved: string) => string | null;
}

/** Judges where a path of an argument leads now: within a root, symlinks resolved. Throws an ArgumentRefusal. */
export async function checkPathPlace(path: PathArgument, places: PathPlaces): Promise<void> {
  const named = { argument: path.argument, argumentPath: path.path, pathSource: "argument" as const };
  if (!path.path.startsWith(sep))
    throw new ArgumentRefusal({
      ...named,
      reason: "ARGUMENT_PATH_REQUIRES_ABSOLUTE",
      message: `the path ${quoted(path.path)} is not absolute`,
    });
  const outside = (why: string): ArgumentRefusal =>
    new ArgumentRefusal({
      ...named,
      reason: "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS",
      message: `the path ${quoted(path.path)} ${why}`,
    });
  // A program may take the two dots by the text, where the system follows the link before them.
  if (path.path.split(sep).includes("..")) throw outside('has a ".." in it');
  const resolved = await resolveExisting(path.path).catch(() => null);
  if (resolved === null) throw outside("can't be resolved");
  if (!places.roots.some((root) => liesIn(resolved, root)))
    throw outside("lies under no path root of the scope");
  const never = places.never(resolved);
  if (never !== null) throw outside(never);
}

/** Resolves the symlinks of the part of a path that exists; a dangling link is an error, because it leads anywhere. */
async function resolveExisting(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!isAbsent(error) || (await isLink(path))) throw error;
    const parent = dirname(path);
    if (parent === path) throw error;
    return join(await resolveExisting(parent), basename(path));
  }
}

async function isLink(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
