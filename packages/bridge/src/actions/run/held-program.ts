import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type BigIntStats } from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ActionError } from "../action-error.ts";
import { hostFailure, outsideScope, reasonOf, systemCode } from "../failures.ts";
import type { CommandPlan, FileIdentity } from "../ports.ts";

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;
const HEAD_BYTES = 256;
const TRUSTED_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/** The file to execute and the folder to do it in, held as descriptors, with the arguments that it needs. */
export interface HeldProgram {
  readonly program: number;
  readonly cwd: number;
  readonly argv0: string;
  readonly args: readonly string[];
  close(): void;
}

/**
 * Opens the very files that were judged and keeps them, whatever happens to their paths. For a script it is its
 * interpreter, which only the system or this user can have put there, as with every folder on the way to the script.
 */
export async function holdProgram(plan: CommandPlan): Promise<HeldProgram> {
  const held: number[] = [];
  const hold = (fd: number) => (held.push(fd), fd);
  try {
    const program = hold(openJudged(plan.program, "program", 0));
    await checkDigest(program, plan.program);
    const started = startOf(program, plan);
    if (started.program !== program) hold(started.program);
    const cwd = hold(openJudged(plan.cwd, "working folder", constants.O_DIRECTORY));
    return { ...started, cwd, close: () => held.splice(0).forEach((fd) => closeSync(fd)) };
  } catch (error) {
    for (const fd of held) closeSync(fd);
    throw error;
  }
}

function openJudged(judged: FileIdentity, what: string, flags: number): number {
  let fd: number;
  try {
    fd = openSync(judged.path, O_PATH | constants.O_NOFOLLOW | flags);
  } catch (error) {
    throw openFailure(judged.path, what, error);
  }
  const stat = fstatSync(fd, { bigint: true });
  if (String(stat.dev) === judged.dev && String(stat.ino) === judged.ino) return fd;
  closeSync(fd);
  throw outsideScope(`Cannot run: the ${what} "${judged.path}" is another one than was judged`);
}

function openFailure(path: string, what: string, error: unknown): ActionError {
  const message = `Cannot run: the ${what} "${path}" cannot be opened: ${reasonOf(error)}`;
  switch (systemCode(error)) {
    case "ENOENT":
      return hostFailure(message, error, "PROCESS_SPAWN_ENOENT");
    case "EACCES":
    case "EPERM":
      return hostFailure(message, error, "PROCESS_SPAWN_PERMISSION_DENIED");
    case "ELOOP":
    case "ENOTDIR":
      return outsideScope(`Cannot run: the ${what} "${path}" is another one than was judged`);
    default:
      return hostFailure(message, error);
  }
}

async function checkDigest(fd: number, judged: FileIdentity): Promise<void> {
  if (judged.digest === null) return;
  const digest = createHash("sha256");
  try {
    await using file = await open(`/proc/self/fd/${String(fd)}`, "r");
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 }))
      if (Buffer.isBuffer(chunk)) digest.update(chunk);
  } catch (error) {
    throw openFailure(judged.path, "program", error);
  }
  if (`sha256:${digest.digest("hex")}` !== judged.digest)
    throw outsideScope(`Cannot run: the content of "${judged.path}" is another one than was judged`);
}

function startOf(program: number, plan: CommandPlan): Omit<HeldProgram, "cwd" | "close"> {
  const stat = fstatSync(program, { bigint: true });
  if (!stat.isFile()) throw outsideScope(`Cannot run: "${plan.program.path}" is no regular file`);
  if ((stat.mode & 0o111n) === 0n)
    throw hostFailure(
      `Cannot run: "${plan.program.path}" is not executable`,
      undefined,
      "PROCESS_SPAWN_PERMISSION_DENIED",
    );
  const line = scriptLine(program, plan.program.path);
  if (line === null) return { program, argv0: plan.command, args: plan.args };
  for (const path of [plan.program.path, ...foldersAbove(plan.program.path)]) checkTrusted(path);
  const { file, option } = interpreterOf(line, plan.program.path);
  return {
    program: openInterpreter(file),
    argv0: file,
    args: [...(option === null ? [] : [option]), plan.program.path, ...plan.args],
  };
}

/**
 * The line after `#!`; null for a binary. Any other file is refused here, for the C library hands what the kernel does
 * not understand to a shell. A file that can be executed but not read is no script.
 */
function scriptLine(program: number, path: string): string | null {
  let fd: number;
  try {
    fd = openSync(`/proc/self/fd/${String(program)}`, "r");
  } catch {
    return null;
  }
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const text = head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0)).toString("latin1");
    if (text.startsWith("#!")) return text.slice(2).split("\n", 1)[0]?.trim() ?? "";
    if (!text.startsWith("\x7fELF"))
      throw hostFailure(`Cannot run: "${path}" is neither a binary nor a script`);
    return null;
  } finally {
    closeSync(fd);
  }
}

/** `env NAME` is looked up in the system's folders, never in a PATH that a request could have a say in. */
function interpreterOf(line: string, script: string): { file: string; option: string | null } {
  const [, file = "", option = null] = /^(\S+)(?:[ \t]+(.+))?$/.exec(line) ?? [];
  if (!file.startsWith("/"))
    throw outsideScope(`Cannot run: the interpreter of "${script}" has no absolute path`);
  if (basename(file) !== "env") return { file, option };
  if (option === null || !/^[A-Za-z0-9._-]+$/.test(option) || option.startsWith("-"))
    throw outsideScope(`Cannot run: "${script}" starts env with more than the name of an interpreter`);
  const found = TRUSTED_FOLDERS.map((folder) => join(folder, option)).find((path) => exists(path));
  if (found === undefined)
    throw hostFailure(
      `Cannot run: "${option}", the interpreter of "${script}", is not there`,
      undefined,
      "PROCESS_SPAWN_ENOENT",
    );
  return { file: found, option: null };
}

/** Follows links (`/bin/sh` is one): the file and its folder have to be the system's. */
function openInterpreter(path: string): number {
  for (const folder of foldersAbove(path)) checkTrusted(folder);
  let fd: number;
  try {
    fd = openSync(path, O_PATH);
  } catch (error) {
    throw openFailure(path, "interpreter", error);
  }
  const stat = fstatSync(fd, { bigint: true });
  if (stat.isFile() && isTrusted(stat) && scriptLine(fd, path) === null) return fd;
  closeSync(fd);
  throw outsideScope(
    `Cannot run: the interpreter "${path}" is no program that only the system and you can write`,
  );
}

function checkTrusted(path: string): void {
  const stat = lstatSync(path, { bigint: true });
  if (!isTrusted(stat))
    throw outsideScope(
      `Cannot run a script: another user can write "${path}", so it could be swapped while it runs`,
    );
}

/** Owned by root or this user, and nobody else can write it; in a sticky folder others cannot replace what is ours. */
function isTrusted(stat: BigIntStats): boolean {
  const owner = Number(stat.uid);
  if (owner !== 0 && owner !== process.getuid?.()) return false;
  if (stat.isSymbolicLink()) return true;
  return (stat.mode & 0o022n) === 0n || (stat.isDirectory() && (stat.mode & 0o1000n) !== 0n);
}

function foldersAbove(path: string): string[] {
  const folder = dirname(path);
  return folder === path ? [] : [folder, ...foldersAbove(folder)];
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
