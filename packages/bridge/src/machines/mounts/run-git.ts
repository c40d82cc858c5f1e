import { spawn, type ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DoorwardError } from "@doorward/contracts";

/** How one git of the host is run. */
export interface GitRun {
  /** Bytes for its standard input, or a stream of them. */
  readonly input?: string | Buffer | Readable;
  /** Where its output goes as it comes; it is collected when absent. */
  readonly output?: Writable;
  /** Most bytes of collected output; more is an error, or the cut where `cut` is set. */
  readonly maxBytes?: number;
  /** Ends git at `maxBytes` and returns what came until then. */
  readonly cut?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptors of ours that it inherits, from 3 on. */
  readonly descriptors?: readonly number[];
  /** User it runs as, where ours is root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Exit codes besides 0 that are answers, not failures. */
  readonly accept?: readonly number[];
  readonly milliseconds?: number;
  readonly signal?: AbortSignal | undefined;
}

/** How it ended. */
export interface GitResult {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly truncated: boolean;
}

const MAX_BYTES = 64 * 1024 * 1024;
const MILLISECONDS = 300_000;
const STDERR_BYTES = 4_096;

/** Nothing of a user's or a repository's settings, no prompt, no pager, no replacement of objects, no other transport. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  LC_ALL: "C",
  HOME: "/nonexistent",
  XDG_CONFIG_HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_ASKPASS: "/bin/false",
  GIT_ALLOW_PROTOCOL: "none",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_NO_LAZY_FETCH: "1",
  GIT_PAGER: "cat",
  GIT_EDITOR: "/bin/false",
};

const SAFE_SETTINGS = [
  "core.fsmonitor=false",
  "core.hooksPath=/dev/null",
  "gc.auto=0",
  "maintenance.auto=false",
];

/** Runs the host's git away from any folder of a user, with none of the settings that could make it run something else. */
export async function runGit(args: readonly string[], run: GitRun = {}): Promise<GitResult> {
  const settings = SAFE_SETTINGS.flatMap((setting) => ["-c", setting]);
  const child = spawn("git", [...settings, ...args], {
    cwd: "/",
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ...ENVIRONMENT, ...run.env },
    stdio: ["pipe", "pipe", "pipe", ...(run.descriptors ?? [])],
    signal: AbortSignal.any([
      AbortSignal.timeout(run.milliseconds ?? MILLISECONDS),
      ...(run.signal ? [run.signal] : []),
    ]),
    killSignal: "SIGKILL",
    ...(run.user ?? {}),
  });
  return collect(child, args, run);
}

async function collect(child: ChildProcess, args: readonly string[], run: GitRun): Promise<GitResult> {
  const ended = exitOf(child, args, run.signal);
  const stderr = new Bounded(STDERR_BYTES);
  const stdout = new Bounded(run.maxBytes ?? MAX_BYTES, () => child.kill("SIGKILL"));
  child.stderr?.on("data", (chunk: Buffer) => stderr.add(chunk));
  const piped = run.output === undefined || child.stdout === null ? null : pipeline(child.stdout, run.output);
  if (piped === null) child.stdout?.on("data", (chunk: Buffer) => stdout.add(chunk));
  // Git may end before it has read its input; how it ended says more than the broken pipe.
  const fed = feed(child, run.input).catch(() => undefined);
  const [exitCode] = await Promise.all([ended, fed, piped]).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  const cut = stdout.full && run.cut === true;
  if (stdout.full && !cut) throw failed(args, `it wrote more than ${run.maxBytes ?? MAX_BYTES} bytes`);
  if (!cut && exitCode !== 0 && run.accept?.includes(exitCode) !== true)
    throw failed(args, lastLine(stderr.bytes()));
  return { exitCode, stdout: stdout.bytes(), truncated: cut };
}

async function feed(child: ChildProcess, input: GitRun["input"]): Promise<void> {
  if (child.stdin === null) return;
  child.stdin.on("error", () => undefined);
  if (input !== undefined && typeof input !== "string" && !Buffer.isBuffer(input)) {
    await pipeline(input, child.stdin);
    return;
  }
  child.stdin.end(input);
}

function exitOf(
  child: ChildProcess,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") reject(missing());
      else if (error.name === "AbortError" && signal?.aborted !== true)
        reject(failed(args, "it took too long"));
      else reject(error);
    });
    child.once("close", (code) => resolve(code ?? -1));
  });
}

/** Keeps the first bytes of a stream. */
class Bounded {
  readonly #chunks: Buffer[] = [];
  readonly #limit: number;
  readonly #onFull: () => void;
  #size = 0;
  full = false;

  constructor(limit: number, onFull: () => void = () => undefined) {
    this.#limit = limit;
    this.#onFull = onFull;
  }

  add(chunk: Buffer): void {
    const room = this.#limit - this.#size;
    if (room > 0) this.#chunks.push(chunk.subarray(0, room));
    this.#size += Math.min(chunk.length, room);
    if (chunk.length <= room || this.full) return;
    this.full = true;
    this.#onFull();
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

function lastLine(stderr: Buffer): string {
  const lines = stderr.toString("utf8").trim().split("\n");
  const fatal = lines.find((line) => /^(?:fatal|error):/.test(line)) ?? lines.at(-1) ?? "";
  return fatal.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?").slice(0, 300);
}

function failed(args: readonly string[], why: string): DoorwardError {
  const name = args.find((arg) => /^[a-z][a-z-]*$/.test(arg)) ?? "";
  return new DoorwardError({ code: "REVIEW_FAILED", message: `Cannot run git ${name}: ${why}` });
}

function missing(): DoorwardError {
  return new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: "Cannot run git: it is not installed on this host",
    hint: "sudo apt-get install git",
  });
}
