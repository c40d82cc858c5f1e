import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { writeDurably } from "../../state/index.ts";
import type { Cli } from "../cli.ts";

const MARK = "# Machines of Doorward; `doorward ssh-config --remove` takes this away.";

/** The user's own configuration of `ssh`, and the line of it that includes ours. */
export function userConfig(
  env: Cli["env"],
  include: string,
): { readonly path: string; readonly line: string } {
  return { path: join(env["HOME"] || homedir(), ".ssh", "config"), line: `Include "${include}"` };
}

/** Puts the line at the top, where it counts for every host; answers whether anything changed. A first change is backed up. */
export function addInclude(env: Cli["env"], include: string): boolean {
  const { path, line } = userConfig(env, include);
  const before = existsSync(path) ? readFileSync(path, "utf8") : undefined;
  if (before?.split("\n").includes(line) === true) return false;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (before !== undefined) backUp(path);
  write(path, `${MARK}\n${line}\n\n${before ?? ""}`);
  return true;
}

/** Takes the line away again; everything else stays as it is. */
export function removeInclude(env: Cli["env"], include: string): boolean {
  const { path, line } = userConfig(env, include);
  if (!existsSync(path)) return false;
  const before = readFileSync(path, "utf8");
  const after = before.replace(`${MARK}\n${line}\n\n`, "").split("\n");
  const kept = after.filter((each) => each !== line && each !== MARK).join("\n");
  if (kept === before) return false;
  write(path, kept);
  return true;
}

function backUp(path: string): void {
  const backup = `${path}.before-doorward`;
  if (!existsSync(backup)) copyFileSync(path, backup);
}

/** Through a symlink to its target, keeping the file's mode. */
function write(path: string, text: string): void {
  const target = existsSync(path) ? realpathSync(path) : path;
  const mode = existsSync(target) ? statSync(target).mode & 0o777 : 0o600;
  writeDurably(target, text);
  chmodSync(target, mode);
}
