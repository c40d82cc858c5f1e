import { constants } from "node:fs";
import { open, readlink, type FileHandle } from "node:fs/promises";
import { DenialError, DoorwardError, isErrorCode, type PathVerdict } from "@doorward/contracts";
import { judgePath, judgeResolvedPath, type PathRules } from "./judge-path.ts";
import { shownPath } from "./path-text.ts";

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;

/** What is asked for when a repo is held. */
export interface HoldAsk {
  readonly profile: string;
  readonly access: "ro" | "rw";
}

/** A folder that was judged and is held open, so that what is mounted later is what was judged. */
export interface HeldPath extends AsyncDisposable {
  /** Path as asked. */
  readonly path: string;
  /** Path with every symlink resolved. */
  readonly resolved: string;
  readonly access: "ro" | "rw";
  /** Rule that allowed it. */
  readonly rule: string;
  readonly identity: { readonly dev: number; readonly ino: number };
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Descriptor opened with `O_PATH`; `/proc/self/fd/N` names the folder whatever happens to its path. */
  readonly fd: number;
}

/** Resolves, judges and holds a folder; a refusal is a {@link DenialError} with the rule that refused. */
export async function holdRepo(path: string, ask: HoldAsk, rules: PathRules): Promise<HeldPath> {
  const verdict = await judgePath(path, ask, rules);
  if (!verdict.allowed || verdict.resolved === null) throw denial(verdict);
  const held = await holdFolder(verdict.resolved, { path, access: ask.access, rule: verdict.rule });
  try {
    // Roots and denied places may be symlinks that moved meanwhile; what is held is judged once more.
    const again = await judgeResolvedPath(held.resolved, ask, rules);
    if (!again.allowed) throw denial({ ...again, path });
    return held;
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

/** Holds a folder by its resolved path without judging it; throws `PATH_CHANGED` when the path is not what it opens. */
export async function holdFolder(
  resolved: string,
  about: { readonly path: string; readonly access: "ro" | "rw"; readonly rule: string },
): Promise<HeldPath> {
  const handle = await open(resolved, O_PATH | constants.O_NOFOLLOW | constants.O_DIRECTORY).catch(
    (error: unknown) => {
      throw changed(resolved, error);
    },
  );
  try {
    const seen = await readlink(`/proc/self/fd/${handle.fd}`);
    if (seen !== resolved) throw changed(resolved);
    const { dev, ino, uid, gid } = await handle.stat();
    const dispose = closeOnce(handle);
    return {
      ...about,
      resolved,
      identity: { dev, ino },
      owner: { uid, gid },
      fd: handle.fd,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The refusal of a verdict as an error; its rule goes into the evidence. */
export function denial(verdict: PathVerdict): DenialError {
  const code = verdict.code !== null && isErrorCode(verdict.code) ? verdict.code : "POLICY_DENIED";
  return new DenialError({
    code,
    message: verdict.reason,
    rule: verdict.rule,
    hint: verdict.hint ?? undefined,
    details: { path: shownPath(verdict.path), resolved: verdict.resolved },
  });
}

function closeOnce(handle: FileHandle): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => (closing ??= handle.close());
}

function changed(resolved: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "PATH_CHANGED",
    message: `Cannot hold "${shownPath(resolved)}": the path changed between the decision and its use`,
    hint: `doorward policy check "${shownPath(resolved)}"`,
    cause,
  });
}
