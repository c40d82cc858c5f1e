import { posix } from "node:path";
import { DenialError, DoorwardError } from "@doorward/contracts";
import { runCommand, type RunResult } from "@doorward/guest";
import type { ToolCall } from "../tool.ts";
import { absolutePath } from "./machine-path.ts";

/** Most that git may write in one call; beyond it the call is refused. */
const GIT_BYTES = 16_777_216;
const MESSAGE_CHARS = 500;

/** Keeps git from running anything else, writing anything, or asking anybody. */
const SETTINGS = [
  "--no-optional-locks",
  "--no-pager",
  ...["-c", "core.fsmonitor=false"],
  ...["-c", "core.hooksPath=/dev/null"],
  ...["-c", "core.pager=cat"],
  ...["-c", "core.quotePath=false"],
  ...["-c", "color.ui=false"],
] as const;

const VARIABLES = {
  GIT_TERMINAL_PROMPT: "0",
  GIT_LITERAL_PATHSPECS: "1",
  // no promised object is fetched
  GIT_ALLOW_PROTOCOL: "",
  GIT_NO_LAZY_FETCH: "1",
  LC_ALL: "C.UTF-8",
} as const;

/** Where git runs, and what it is asked about. */
export interface GitPlace {
  readonly cwd: string;
  /** Absolute path to limit the answer to; null for all of the repository. */
  readonly path: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Whether git may look into submodules, which have settings of their own. */
  readonly submodules: boolean;
}

/**
 * Where git runs for a path. A grant that runs commands may use any repository. Any other one is held to the repository
 * that it covers, whose settings the machine can't change, and to no program that these settings name.
 */
export async function gitPlace(call: ToolCall, path: string | undefined): Promise<GitPlace> {
  const { reach, operations } = call.session.door;
  const absolute = absolutePath(call, path ?? reach.workdir);
  const named = path === undefined ? null : absolute;
  if (operations.has("agent-tool.exec")) {
    const cwd = await nearestFolder(call, absolute);
    return {
      cwd,
      path: cwd === absolute && path === undefined ? null : named,
      env: VARIABLES,
      submodules: true,
    };
  }
  if (reach.narrowed) throw narrowed(absolute);
  const repo = reach.folders.find((folder) => isWithin(absolute, folder.path))?.path;
  if (repo === undefined) throw outside(absolute);
  const env = { ...VARIABLES, GIT_DIR: posix.join(repo, ".git"), GIT_WORK_TREE: repo };
  const place = { cwd: repo, path: absolute === repo ? null : named, env, submodules: false };
  return { ...place, env: { ...env, ...(await withoutFilters(call, place)) } };
}

/** Runs git to its end; fails with what git says when it fails. */
export async function git(call: ToolCall, place: GitPlace, args: readonly string[]): Promise<Buffer> {
  const result = await runGit(call, place, args);
  if (result.code === 0) return result.stdout;
  const said = result.stderr.toString("utf8").trim().slice(0, MESSAGE_CHARS) || "nothing";
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot run git ${args[0] ?? ""} in "${place.cwd}": git says ${JSON.stringify(said)}`,
    hint: /not a git repository/.test(said)
      ? "Give the path of a folder in a git repository"
      : "Check path and base; list_directory shows what is there",
  });
}

/** Runs git to its end, whatever comes of it. */
export async function runGit(call: ToolCall, place: GitPlace, args: readonly string[]): Promise<RunResult> {
  const request = {
    argv: ["git", ...SETTINGS, ...args],
    cwd: place.cwd,
    env: place.env,
    maxBytes: GIT_BYTES,
  };
  return await runCommand(call.session.door.host, request, call.signal);
}

/** Switches off the programs that settings name for reading files, which a mere reader's call must not run. */
async function withoutFilters(call: ToolCall, place: GitPlace): Promise<Record<string, string>> {
  const asked = [
    "config",
    "--null",
    "--name-only",
    "--get-regexp",
    "^filter\\..*\\.(clean|smudge|process|required)$",
  ];
  const { stdout, code } = await runGit(call, place, asked);
  // 1: there are none
  if (code !== 0 && code !== 1) await git(call, place, asked);
  const names = new Set(
    stdout
      .toString("utf8")
      .split("\0")
      .filter((name) => name !== ""),
  );
  const settings = [...names].map((key) => [key, key.endsWith(".required") ? "false" : ""] as const);
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(settings.length) };
  for (const [index, [key, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}

/** The path itself where it is a folder, else the nearest one above it: what was deleted has a diff too. */
async function nearestFolder(call: ToolCall, path: string): Promise<string> {
  const files = await call.session.files(call.signal);
  for (let at = path; at !== "/"; at = posix.dirname(at)) {
    const stat = await files.stat(at, call.signal).catch((error: unknown) => {
      if (error instanceof DoorwardError && error.code.startsWith("PATH_NOT_")) return null;
      throw error;
    });
    if (stat?.kind === "folder") return at;
  }
  return "/";
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

function narrowed(path: string): DenialError {
  return new DenialError({
    code: "PATH_NOT_ALLOWED",
    rule: "grant.paths",
    message: `Cannot run git for "${path}": the grant covers only a part of the repository, and git reads all of it`,
    hint: "Read files with read_file and search_files; ask the operator for a grant of the whole repository",
  });
}

function outside(path: string): DenialError {
  return new DenialError({
    code: "PATH_NOT_ALLOWED",
    rule: "grant.paths",
    message: `Cannot run git for "${path}": the grant does not cover it`,
    hint: "Leave path out for the machine's repository",
  });
}
