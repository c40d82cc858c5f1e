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
import {
  deleteProjectFile,
  readProjectFile,
  UnsafeProject,
  writeProjectFile,
  type ProjectFile,
} from "./project-file.ts";

const MAX_BYTES = 16_777_216;

/** Where a configuration file is: the user's own, or one beneath a project's folder, whose links are not followed. */
export type ConfigFile = { readonly file: string; readonly beneath?: undefined } | ProjectFile;

interface Found {
  readonly text: string;
  readonly mode: number;
}

/** The text of a configuration file; undefined where there is none. */
export function readConfig(place: ConfigFile): string | undefined {
  return find(place)?.text;
}

/**
 * Puts a configuration file in place: the old or the new one after a crash, through a symlink of the user's own to its
 * target, with its mode; a new one is closed to other users, and so is one that gets a `secret`. Refused when it is not any
 * more what was read.
 */
export function writeConfig(
  place: ConfigFile,
  before: string | undefined,
  text: string,
  secret = false,
): void {
  const found = unchanged(place, before);
  const mode = found === undefined ? 0o600 : found.mode & (secret ? 0o700 : 0o777);
  guarded(place, () => {
    if (place.beneath === undefined) writeOwn(place.file, found !== undefined, text, mode);
    else writeProjectFile(place, text, mode);
  });
}

/** Deletes a configuration file, if it still is what was read. */
export function deleteConfig(place: ConfigFile, before: string): void {
  unchanged(place, before);
  guarded(place, () => {
    if (place.beneath === undefined) rmSync(place.file, { force: true });
    else deleteProjectFile(place);
  });
}

function unchanged(place: ConfigFile, before: string | undefined): Found | undefined {
  const found = find(place);
  if (found?.text === before) return found;
  throw unusable(place.file, "it was changed by another program at this moment; try again");
}

function find(place: ConfigFile): Found | undefined {
  return guarded(place, () => {
    const found = place.beneath === undefined ? readOwn(place.file) : readProjectFile(place, MAX_BYTES);
    if (found === undefined) return undefined;
    const { bytes, mode } = found;
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), mode };
  });
}

function readOwn(path: string): { readonly bytes: Buffer; readonly mode: number } | undefined {
  try {
    const { size, mode } = statSync(path);
    if (size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES} bytes`);
    return { bytes: readFileSync(path), mode };
  } catch (cause) {
    const absent = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (absent && !isDangling(path)) return undefined;
    throw cause;
  }
}

function writeOwn(path: string, existed: boolean, text: string, mode: number): void {
  const folder = dirname(path);
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const target = existed ? realpathSync(path) : path;
  writeDurably(target, text);
  if (mode !== 0o600) chmodSync(target, mode);
}

function guarded<T>({ file, beneath }: ConfigFile, act: () => T): T {
  // Without O_PATH and /proc nothing keeps a link of the project from leading a write out of it.
  if (beneath !== undefined && process.platform !== "linux")
    throw new DoorwardError({
      code: "HOST_UNSUPPORTED",
      message: `Cannot change configuration "${file}": a project's folder is written to on Linux alone`,
      hint: "Leave --write and --remove out, and put in by hand what it prints",
    });
  try {
    return act();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (!(cause instanceof UnsafeProject)) throw unusable(file, why, cause);
    const hint = "Nothing of a project is followed out of it; put a file or folder of its own there";
    throw unusable(file, why, cause, hint);
  }
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
