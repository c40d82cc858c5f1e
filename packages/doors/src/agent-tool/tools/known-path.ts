import { DoorwardError } from "@doorward/contracts";
import type { ToolCall } from "../tool.ts";
import { runGit, type GitPlace } from "./git-command.ts";

/**
 * Throws PATH_NOT_FOUND where git has nothing to say about a path because there is no such path: not in the work tree, not
 * in the index, and not in the commits that were compared. What was deleted is known there.
 */
export async function requireKnown(call: ToolCall, place: GitPlace, base = "HEAD"): Promise<void> {
  const { path } = place;
  if (path === null || (await exists(call, path))) return;
  const commits = new Set(["HEAD", ...base.split(/\.{2,3}/)].filter((commit) => commit !== ""));
  const asked = [
    ["ls-files", "-z", "--cached", "--others", "--", path],
    ...[...commits].map((commit) => ["ls-tree", "-z", "--name-only", commit, "--", path]),
  ];
  for (const args of asked) {
    const { code, stdout } = await runGit(call, place, args);
    if (code === 0 && stdout.length > 0) return;
  }
  throw new DoorwardError({
    code: "PATH_NOT_FOUND",
    message: `Cannot run git for "${path}": there is no such path in the work tree, the index or ${[...commits].join(", ")}`,
    hint: "Call find_files or list_directory to see which paths there are, or leave path out for the whole repository",
  });
}

async function exists(call: ToolCall, path: string): Promise<boolean> {
  const files = await call.session.files(call.signal);
  try {
    await files.stat(path, call.signal);
    return true;
  } catch (error) {
    if (error instanceof DoorwardError && error.code.startsWith("PATH_NOT_")) return false;
    throw error;
  }
}
