import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { writeDurably } from "../../state/index.ts";

const MAX_BYTES = 16_777_216;

/** The text of a configuration file; undefined where there is none. */
export function readConfig(path: string): string | undefined {
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES} bytes`);
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT" && !isDangling(path))
      return undefined;
    throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/**
 * Puts a configuration file in place: the old or the new one after a crash, through a symlink to its target, with its
 * mode; a new one is closed to other users, and so is one that gets a `secret`. Refused when it is not any more what was
 * read.
 */
export function writeConfig(path: string, before: string | undefined, text: string, secret = false): void {
  const folder = dirname(path);
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (readConfig(path) !== before)
    throw unusable(path, "it was changed by another program at this moment; try again");
  const target = before === undefined ? path : realpathSync(path);
  const kept = secret ? 0o700 : 0o777;
  const mode = before === undefined ? 0o600 : statSync(target).mode & kept;
  writeDurably(target, text);
  if (mode !== 0o600) chmodSync(target, mode);
}

/** Deletes a configuration file, if it still is what was read. */
export function deleteConfig(path: string, before: string): void {
  if (readConfig(path) !== before)
    throw unusable(path, "it was changed by another program at this moment; try again");
  rmSync(path, { force: true });
}

/** The error for a configuration file that can't be read or changed. */
export function unusable(path: string, why: string, cause?: unknown, hint?: string): DoorwardError {
  const message = `Cannot change configuration "${path}": ${why}`;
  return new DoorwardError({ code: "INPUT_INVALID", message, hint, cause });
}

function isDangling(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
