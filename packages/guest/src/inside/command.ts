import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { ExecOpen } from "../protocol.ts";
import type { PipeMaker } from "./pipe-maker.ts";
import { findProgram, programEnv, requireFolder } from "./program.ts";
import { StreamFailure } from "./stream-failure.ts";

/** After its stream is gone, a process group has this long to end by itself. */
const KILL_AFTER_MS = 2000;

/** A running command in its own session and process group, with the guest's ends of its standard streams. */
export interface Command {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** Starts a command; COMMAND_NOT_FOUND and PATH_NOT_FOUND are thrown before anything runs. */
export async function startCommand(open: ExecOpen, pipes: PipeMaker): Promise<Command> {
  const cwd = open.cwd ?? process.cwd();
  const env = programEnv(process.env, open.env);
  requireFolder(cwd);
  const [name = "", ...args] = open.argv;
  const program = findProgram(name, env["PATH"], cwd);
  const made = pipes.usable ? makePipes(pipes, open.stdin) : undefined;
  try {
    return await spawned(program, { argv0: name, args, cwd, env, stdin: open.stdin }, made);
  } finally {
    for (const pipe of made ?? []) if (pipe !== null) closeSync(pipe.child);
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

function makePipes(pipes: PipeMaker, stdin: boolean): Pipes {
  const output = (): CommandPipe => {
    const { read, write } = pipes.make();
    return { guest: read, child: write };
  };
  const input = (): CommandPipe => {
    const { read, write } = pipes.make();
    return { guest: write, child: read };
  };
  return [stdin ? input() : null, output(), output()];
}

interface Spawned {
  readonly argv0: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly stdin: boolean;
}

async function spawned(program: string, what: Spawned, pipes: Pipes | undefined): Promise<Command> {
  const { argv0, args, cwd, env, stdin } = what;
  const stdio: StdioOptions =
    pipes === undefined
      ? [stdin ? "pipe" : "ignore", "pipe", "pipe"]
      : [pipes[0]?.child ?? "ignore", pipes[1].child, pipes[2].child];
  const child = spawn(program, args, { argv0, cwd, env, stdio, detached: true });
  const streams = pipes === undefined ? childStreams(child) : pipeStreams(pipes);
  try {
    await started(child, program);
  } catch (error) {
    for (const stream of [streams.stdin, streams.stdout, streams.stderr]) stream?.destroy();
    throw error;
  }
  return { child, pid: child.pid ?? 0, ...streams };
}

function started(child: ChildProcess, program: string): Promise<void> {
  // on success node has the pid at once; the "spawn" event would only cost another turn of the loop
  if (child.pid !== undefined) return Promise.resolve();
  return new Promise((_, reject) => {
    child.once("error", (error) => {
      reject(new StreamFailure("COMMAND_NOT_FOUND", `Cannot run "${program}": ${error.message}`));
    });
  });
}

function childStreams(child: ChildProcess): Omit<Command, "child" | "pid"> {
  const { stdin, stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("Cannot run command: it has no output streams");
  return { stdin, stdout, stderr };
}

function pipeStreams(pipes: Pipes): Omit<Command, "child" | "pid"> {
  const reader = (fd: number): Socket => new Socket({ fd, readable: true, writable: false });
  const [stdin, stdout, stderr] = pipes;
  return {
    stdin: stdin === null ? null : new Socket({ fd: stdin.guest, readable: false, writable: true }),
    stdout: reader(stdout.guest),
    stderr: reader(stderr.guest),
  };
}
