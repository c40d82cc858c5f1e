import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import type { Lab } from "./lab.ts";

/** Why tests with a program of the host can't run, or `false`. */
export function needsPrograms(...names: readonly string[]): string | false {
  const missing = names.find((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
  return missing === undefined ? false : `needs ${missing}`;
}

/** How a program of the host ended. */
export interface HostRan {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** OpenSSH's programs on the configuration that `doorward ssh-config` writes. */
export class OpenSsh {
  readonly config: string;
  readonly #lab: Lab;

  private constructor(lab: Lab, written: { readonly config: string }) {
    this.#lab = lab;
    this.config = written.config;
  }

  static async of(lab: Lab): Promise<OpenSsh> {
    return new OpenSsh(lab, await lab.json<{ config: string }>(["ssh-config"]));
  }

  start(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    return spawn(program, args, { env: { ...this.#lab.env, ...env }, cwd: this.#lab.root });
  }

  /** `ssh` with words of its own before the host. */
  ssh(args: readonly string[], input?: Buffer | string, env?: Record<string, string>): Promise<HostRan> {
    return this.run("ssh", ["-F", this.config, ...args], input, env);
  }

  run(
    program: string,
    args: readonly string[],
    input: Buffer | string = "",
    env?: Record<string, string>,
  ): Promise<HostRan> {
    const child = this.start(program, args, env);
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
    return ended(child);
  }
}

/** Everything that a program writes, and its exit code; it is killed when it hangs. */
export async function ended(child: ChildProcess, ms = 300_000): Promise<HostRan> {
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  const killer = setTimeout(() => child.kill("SIGKILL"), ms);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(killer);
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

/** Waits until a program wrote something to its stdout. */
export function wrote(child: ChildProcess, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes(what)) resolve();
    });
    child.once("close", () =>
      reject(new Error(`it ended before "${what}"; it wrote ${JSON.stringify(seen)}`)),
    );
  });
}

/** How many "sleep" of so many seconds run in machine "shop". */
export async function sleeping(lab: Lab, seconds: string): Promise<number> {
  return Number((await lab.sh("shop", `pgrep -fc '^sleep ${seconds}'; true`)).stdout.trim());
}

/** Waits until none of them is left. */
export async function noneSleeps(lab: Lab, seconds: string): Promise<void> {
  await lab.until(`no "sleep ${seconds}" is left`, async () => (await sleeping(lab, seconds)) === 0);
}
