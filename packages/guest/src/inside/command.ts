import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { ExecOpen } from "../protocol.ts";
import type { PipeMaker } from "./pipe-maker.ts";
import type { ProcessEnd, ProcessMaker } from "./process-maker.ts";
import { findProgram, programEnv, requireFolder } from "./program.ts";
import { startFailure } from "./start-failure.ts";
import { StreamFailure } from "./stream-failure.ts";

/** After its stream is gone, a process group has this long to end by itself. */
const KILL_AFTER_MS = 2000;

/** What makes commands: pipes and processes by the C library; where those can't be had, Node's socket pairs and fork. */
export interface CommandMaker {
  readonly pipes: PipeMaker;
  readonly processes: ProcessMaker;
}

/** A running command in its own session and process group, with the guest's ends of its standard streams. */
export interface Command {
  readonly pid: number;
  /** Resolves when the command itself ended, whatever it left running. */
  readonly ended: Promise<ProcessEnd>;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** Starts a command; COMMAND_NOT_FOUND, PATH_NOT_FOUND and PROCESS_LIMIT are thrown before anything runs. */
export async function startCommand(open: ExecOpen, { pipes, processes }: CommandMaker): Promise<Command> {
  const cwd = open.cwd ?? process.cwd();
  const env = programEnv(process.env, open.env);
  requireFolder(cwd);
  const [name = ""] = open.argv;
  const program = findProgram(name, env["PATH"], cwd);
  const what = { program, argv: open.argv, cwd, env };
  if (!pipes.usable || !processes.usable) return await forked(what, open.stdin);
  const made: CommandPipe[] = [];
  try {
    return started(what, makePipes(pipes, open.stdin, made), processes);
  } catch (error) {
    for (const { guest } of made) closeSync(guest);
    throw notRunnable(name, error);
  } finally {
    for (const { child } of made) closeSync(child);
  }
}

/** Sends a signal to a command's whole process group. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // no process of the group is left
  }
}

/** Ends a command's whole process group: asks, then kills. */
export function endGroup(pid: number): void {
  signalGroup(pid, "SIGTERM");
  signalGroup(pid, "SIGCONT");
  setTimeout(() => signalGroup(pid, "SIGKILL"), KILL_AFTER_MS);
}

/** A pipe between the guest and a command. */
interface CommandPipe {
  readonly guest: number;
  readonly child: number;
}

type Pipes = readonly [CommandPipe | null, CommandPipe, CommandPipe];

/** Makes a command's pipes; each is in `made` at once, so that it is closed when a later one can't be had. */
function makePipes(pipes: PipeMaker, stdin: boolean, made: CommandPipe[]): Pipes {
  const kept = (pipe: CommandPipe): CommandPipe => {
    made.push(pipe);
    return pipe;
  };
  const output = (): CommandPipe => {
    const { read, write } = pipes.make();
    return kept({ guest: read, child: write });
  };
  const input = (): CommandPipe => {
    const { read, write } = pipes.make();
    return kept({ guest: write, child: read });
  };
  return [stdin ? input() : null, output(), output()];
}

interface What {
  readonly program: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
}

function started(what: What, [stdin, stdout, stderr]: Pipes, processes: ProcessMaker): Command {
  const stdio = [stdin?.child ?? null, stdout.child, stderr.child] as const;
  let over: (end: ProcessEnd) => void = () => undefined;
  const ended = new Promise<ProcessEnd>((resolve) => (over = resolve));
  const pid = processes.start({ ...what, stdio }, (end) => over(end));
  const reader = (fd: number): Socket => new Socket({ fd, readable: true, writable: false });
  return {
    pid,
    ended,
    stdin: stdin === null ? null : new Socket({ fd: stdin.guest, readable: false, writable: true }),
    stdout: reader(stdout.guest),
    stderr: reader(stderr.guest),
  };
}

async function forked({ program, argv, cwd, env }: What, stdin: boolean): Promise<Command> {
  const [argv0 = "", ...args] = argv;
  const stdio = [stdin ? "pipe" : "ignore", "pipe", "pipe"] as const;
  const child = spawn(program, args, { argv0, cwd, env, stdio: [...stdio], detached: true });
  const ended = new Promise<ProcessEnd>((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal })),
  );
  const failed = new Promise<Error>((resolve) => child.on("error", resolve));
  // on success node has the pid at once; the "spawn" event would only cost another turn of the loop
  if (child.pid === undefined) throw notRunnable(argv0, await failed);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("Cannot run command: it has no output streams");
  return { pid: child.pid, ended, stdin: child.stdin, stdout, stderr };
}

function notRunnable(name: string, error: unknown): StreamFailure {
  if (error instanceof StreamFailure) return error;
  const { code, why } = startFailure(error);
  return new StreamFailure(code, `Cannot run "${name}": ${why}`);
}
