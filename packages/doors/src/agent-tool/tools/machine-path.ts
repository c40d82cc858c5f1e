import { posix } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import type { FileStat, GuestFiles } from "@doorward/guest";
import type { ToolCall } from "../tool.ts";

/** Absolute form of a path argument; links in it are not followed. */
export function absolutePath(call: ToolCall, path: string): string {
  return posix.resolve(call.session.door.reach.workdir, path);
}

/** A path as models read it: relative where it lies below the folder that relative arguments start at. */
export function shownPath(call: ToolCall, absolute: string): string {
  const { workdir } = call.session.door.reach;
  if (absolute === workdir) return ".";
  const start = workdir.endsWith("/") ? workdir : `${workdir}/`;
  return absolute.startsWith(start) ? absolute.slice(start.length) : absolute;
}

/** What a path is; refuses what is not a regular file, saying what to call instead. */
export async function requireFile(files: GuestFiles, path: string, call: ToolCall): Promise<FileStat> {
  const stat = await files.stat(path, call.signal).catch((error: unknown) => {
    throw withHint(error, "PATH_NOT_FOUND", "Call find_files or list_directory to see which files there are");
  });
  if (stat.kind === "file") return stat;
  const folder = stat.kind === "folder";
  throw new DoorwardError({
    code: "PATH_INVALID",
    message: `Cannot read "${path}": it is ${folder ? "a folder" : "no regular file"}`,
    hint: folder ? `Call list_directory with path "${path}"` : "Choose a regular file",
  });
}

/** The same error with a hint for models, if it has this code and no hint yet. */
export function withHint(error: unknown, code: DoorwardError["code"], hint: string): unknown {
  if (!(error instanceof DoorwardError) || error.code !== code || error.hint !== undefined) return error;
  return new DoorwardError({ code, message: error.message, hint, details: error.details, cause: error });
}

/** Throws what ripgrep says of a glob that is none, with how to write one; anything else as it is. */
export function refusedGlob(error: unknown): never {
  throw withHint(
    error,
    "INPUT_INVALID",
    'Mend the glob: "*" is any part of a name, "**/" any folders, "[ab]" and "{a,b}" are choices, "\\[" the character itself',
  );
}
