import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PrivilegedActionResponse } from "@doorward/plugin-sdk";
import { build } from "esbuild";

/** The six actions, as the plugin of the tests names them. */
export const ACT_NAMES = [
  "clipboardWrite",
  "clipboardRead",
  "hosts",
  "files",
  "process",
  "workflow",
] as const;
export type ActName = (typeof ACT_NAMES)[number];

/** A job of the plugin. */
export type PluginJob =
  | {
      readonly kind: "act";
      readonly name: ActName;
      readonly given: ActInput;
      readonly correlationId: string;
    }
  | { readonly kind: "send"; readonly body: unknown }
  | {
      readonly kind: "http";
      readonly method: string;
      readonly path: string;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
      /** The bridge's own socket; TCP when absent. */
      readonly socketPath?: string;
      readonly token?: string | null;
    };

/** What an action is done with. */
export interface ActInput {
  readonly text: string;
  readonly path: string;
  readonly program: string;
  readonly dryRun: boolean;
}

/** What a plugin's raw request got. */
export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** Nobody's user id: what a plugin runs as where tests run as root. */
const NOBODY = 65_534;

/** Whether a program can be started as nobody: only then a plugin of a test is another user than the bridge. */
export const asNobody =
  process.getuid?.() === 0 && spawnSync(process.execPath, ["-v"], { uid: NOBODY, gid: NOBODY }).status === 0;

/** Bundles the plugin into one file that needs nothing of this checkout; answers its path. */
export async function bundlePlugin(folder: string): Promise<string> {
  const outfile = join(folder, "plugin.cjs");
  await build({
    entryPoints: [fileURLToPath(new URL("plugin-program.ts", import.meta.url))],
    ...{ outfile, bundle: true, platform: "node", target: "node20", format: "cjs", logLevel: "silent" },
    conditions: ["source"],
  });
  return outfile;
}

/** A running plugin: told where the bridge is by its standard input, with nothing of the caller's environment. */
export class PluginProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: ((text: string) => void)[] = [];
  #wrote = "";

  constructor(program: string, target: { readonly url: string; readonly token: string }) {
    const user = asNobody ? { uid: NOBODY, gid: NOBODY } : {};
    this.#child = spawn(process.execPath, [program], { ...user, env: {}, cwd: "/", stdio: "pipe" });
    const { stdin, stdout, stderr } = this.#child;
    if (stdin === null || stdout === null || stderr === null) throw new Error("no pipes");
    this.#lines = createInterface({ input: stdout });
    this.#lines.on("line", (line) => this.#answers.shift()?.(line));
    stderr.on("data", (bytes: Buffer) => (this.#wrote += bytes.toString()));
    this.#child.once("close", () => {
      for (const answer of this.#answers.splice(0)) answer(JSON.stringify({ ended: this.#wrote }));
    });
    stdin.write(`${JSON.stringify(target)}\n`);
  }

  /** What others on the host see of it. */
  get visible(): string {
    const file = (name: string): string => readFileSync(`/proc/${String(this.#child.pid)}/${name}`, "utf8");
    return `${file("cmdline")}\n${file("environ")}`;
  }

  /** Does one of the six actions through the SDK. */
  async act(name: ActName, given: ActInput, correlationId: string): Promise<PrivilegedActionResponse> {
    return (await this.#job({ kind: "act", name, given, correlationId })) as PrivilegedActionResponse;
  }

  /** Sends a body as it is through the SDK's transport. */
  async send(body: unknown): Promise<PrivilegedActionResponse> {
    return (await this.#job({ kind: "send", body })) as PrivilegedActionResponse;
  }

  /** Sends any HTTP request with its token. */
  async http(request: Omit<Extract<PluginJob, { kind: "http" }>, "kind">): Promise<HttpAnswer> {
    return (await this.#job({ kind: "http", ...request })) as HttpAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #job(job: PluginJob): Promise<unknown> {
    return new Promise((resolve) => {
      this.#answers.push((text) => resolve(JSON.parse(text)));
      this.#child.stdin?.write(`${JSON.stringify(job)}\n`);
    });
  }
}
