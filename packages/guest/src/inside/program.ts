import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { StreamFailure } from "./stream-failure.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELLS = ["/bin/bash", "/usr/bin/bash", "/bin/sh"];

/** The machine's environment without what only the guest's own runtime reads, plus what was asked for. */
export function programEnv(
  own: Readonly<Record<string, string | undefined>>,
  asked: Readonly<Record<string, string>>,
): Record<string, string> {
  const env: Record<string, string> = { PATH: DEFAULT_PATH };
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && !name.startsWith("NODE_COMPILE_CACHE")) env[name] = value;
  }
  return { ...env, ...asked };
}

/** Absolute path of a program, looked up as `execvp` would; COMMAND_NOT_FOUND says what is wrong otherwise. */
export function findProgram(name: string, path: string | undefined, cwd: string): string {
  if (name === "") throw new StreamFailure("COMMAND_NOT_FOUND", `Cannot run "": the program's name is empty`);
  if (name.includes("/")) return requireProgram(isAbsolute(name) ? name : join(cwd, name), name);
  for (const folder of (path ?? DEFAULT_PATH).split(delimiter)) {
    const candidate = join(folder === "" ? cwd : folder, name);
    if (isProgram(candidate)) return candidate;
  }
  throw new StreamFailure("COMMAND_NOT_FOUND", `Cannot run "${name}": no folder of PATH has such a program`);
}

/** The shell of a terminal that names no program: bash where there is one. */
export function defaultShell(): string {
  return SHELLS.find(isProgram) ?? "/bin/sh";
}

/** Refuses a working folder that is none. */
export function requireFolder(cwd: string): void {
  if (statSync(cwd, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new StreamFailure(
    "PATH_NOT_FOUND",
    `Cannot start in "${cwd}": there is no such folder in the machine`,
  );
}

function requireProgram(path: string, name: string): string {
  if (isProgram(path)) return path;
  const exists = statSync(path, { throwIfNoEntry: false }) !== undefined;
  const why = exists ? "it is not an executable file" : "there is no such file";
  throw new StreamFailure("COMMAND_NOT_FOUND", `Cannot run "${name}": ${why}`);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
