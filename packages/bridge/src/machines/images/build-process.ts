import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { DoorwardError } from "@doorward/contracts";

/** A program of an image build. */
export interface BuildStep {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

const keptLines = 15;
const killAfterMs = 5_000;

/** Runs a program in a process group of its own, passes on each line it writes, and fails with its last ones; gives back its output's last line. */
export async function runBuildStep(step: BuildStep): Promise<string> {
  step.signal.throwIfAborted();
  const child = spawn(step.file, [...step.args], {
    cwd: step.cwd,
    env: step.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = killGroupOnAbort(child.pid, step.signal);
  const kept: string[] = [];
  let lastOutput = "";
  const keep = (line: string): void => {
    kept.push(line);
    if (kept.length > keptLines) kept.shift();
    step.onLine(line);
  };
  try {
    const [ended] = await Promise.all([
      new Promise<{ code: number | null; failure: Error | null }>((resolve) => {
        child.once("error", (failure) => {
          resolve({ code: null, failure });
        });
        child.once("close", (code) => {
          resolve({ code, failure: null });
        });
      }),
      eachLine(child.stdout, (line) => {
        lastOutput = line;
        keep(line);
      }),
      eachLine(child.stderr, keep),
    ]);
    step.signal.throwIfAborted();
    if (ended.code === 0) return lastOutput;
    throw buildFailure(step, ended.code, ended.failure?.message ?? kept.join("\n"));
  } finally {
    stop();
  }
}

async function eachLine(stream: Readable, use: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream })) if (line.trim() !== "") use(line);
}

/** Asks the whole group to end (mmdebstrap then unmounts and cleans up), and kills it when it does not. */
function killGroupOnAbort(pid: number | undefined, signal: AbortSignal): () => void {
  let killer: NodeJS.Timeout | undefined;
  const kill = (kind: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(-pid, kind);
    } catch {
      // The group has ended already.
    }
  };
  const onAbort = (): void => {
    kill("SIGTERM");
    killer = setTimeout(() => {
      kill("SIGKILL");
    }, killAfterMs);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return () => {
    signal.removeEventListener("abort", onAbort);
    clearTimeout(killer);
  };
}

const causes: readonly (readonly [RegExp, string])[] = [
  [
    /Could not resolve|Temporary failure resolving|Connection (?:refused|timed out)|Failed to fetch|Unable to connect/i,
    "Debian's mirror can't be reached: check the network and /etc/apt/sources.list*, e.g. with apt-get update",
  ],
  [/No space left on device/i, "The disk (or /dev/shm) is full: df -h"],
  [
    /NO_PUBKEY|is not signed|signatures couldn't be verified/i,
    "sudo apt-get install -y debian-archive-keyring",
  ],
  [/ENOENT|not found/i, "A program is missing: doorward doctor"],
];

function buildFailure(step: BuildStep, code: number | null, tail: string): DoorwardError {
  const hint =
    causes.find(([pattern]) => pattern.test(tail))?.[1] ??
    "doorward image build shows every step; doorward doctor shows this host";
  return new DoorwardError({
    code: "IMAGE_BUILD_FAILED",
    message: `Cannot build the machine image: "${step.file.split("/").at(-1) ?? step.file}" ended with ${code === null ? "a signal or not at all" : `code ${String(code)}`}: ${tail.slice(-1500)}`,
    hint,
    details: { lines: tail.split("\n") },
  });
}
