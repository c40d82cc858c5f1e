import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { doorward } from "./shared-image.ts";
import type { IPty } from "node-pty";

const require = createRequire(import.meta.url);

/** How one run of the command ended. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** What a run may differ in. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  readonly timeoutMs?: number;
}

/** Starts the built command. */
export function spawnDoorward(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  options: RunOptions = {},
): ChildProcess {
  return spawn(process.execPath, [doorward, ...args], {
    env: { ...env, ...options.env },
    cwd: options.cwd ?? "/",
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** Runs the built command to its end. */
export async function runDoorward(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  options: RunOptions = {},
): Promise<Ran> {
  const began = performance.now();
  const child = spawnDoorward(args, env, options);
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  const killer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 300_000);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(killer);
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();
  return { code, stdout: text(stdout), stderr: text(stderr), ms: performance.now() - began };
}

/** The command in a real pseudo-terminal: what a person sees and types. */
export class Screen {
  readonly pty: IPty;
  readonly ended: Promise<number>;
  text = "";

  constructor(args: readonly string[], env: Readonly<Record<string, string>>, cwd = "/") {
    const { spawn: spawnPty } = require("node-pty") as typeof import("node-pty");
    this.pty = spawnPty(process.execPath, [doorward, ...args], { cols: 100, rows: 30, cwd, env: { ...env } });
    this.pty.onData((data) => (this.text += data));
    this.ended = new Promise((resolve) => this.pty.onExit(({ exitCode }) => resolve(exitCode)));
  }

  type(text: string): void {
    this.pty.write(text);
  }

  /** Waits until the text seen since `from` holds something; answers how long that took, in milliseconds. */
  async see(what: string | RegExp, { from = 0, ms = 180_000 } = {}): Promise<number> {
    const began = performance.now();
    const holds = (seen: string): boolean =>
      typeof what === "string" ? seen.includes(what) : what.test(seen);
    while (!holds(this.text.slice(from))) {
      if (performance.now() - began > ms)
        throw new Error(`never saw ${String(what)}; saw ${JSON.stringify(this.text.slice(-1000))}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return performance.now() - began;
  }
}
