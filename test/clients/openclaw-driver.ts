import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../support/free-port.ts";
import type { ScriptedCall, ScriptedModel } from "./scripted-model.ts";

/** Node 24, which OpenClaw needs: the one that machines run. */
export const node24 = fileURLToPath(
  new URL(`../../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url),
);

/** OpenClaw's command. */
export const openclaw = fileURLToPath(new URL("node_modules/openclaw/openclaw.mjs", import.meta.url));

const SECRET = "gateway-secret";

/** How an OpenClaw is set up beside what every test needs. */
export interface OpenClawOptions {
  readonly home: string;
  readonly workspace: string;
  readonly model: ScriptedModel;
  readonly env: Readonly<Record<string, string>>;
  /** `agents.defaults.sandbox`. */
  readonly sandbox: object;
  /** `agents.list`. */
  readonly agents: readonly object[];
  readonly plugins: object;
  /** `mcp.servers`. */
  readonly mcp: object;
}

/** Ten tries a second; it starts in ten seconds on a quiet host, and in minutes on a busy one. */
const START_TRIES = 2400;

/** The real OpenClaw: a gateway of its own on loopback, its model the scripted one. */
export class OpenClaw implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #options: OpenClawOptions;
  log = "";

  /** Writes its configuration and starts it. */
  static async start(options: OpenClawOptions): Promise<OpenClaw> {
    return await OpenClaw.startAs(options, await configureOpenClaw(options));
  }

  /** Starts it with the configuration that it has, which says that it listens on this port. */
  static async startAs(options: OpenClawOptions, port: number): Promise<OpenClaw> {
    const gateway = new OpenClaw(options, port);
    await gateway.#listening();
    return gateway;
  }

  private constructor(options: OpenClawOptions, port: number) {
    this.#options = options;
    this.#port = port;
    this.#child = spawn(node24, [openclaw, "gateway", "run"], {
      cwd: options.home,
      env: environment(options),
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (bytes: Buffer) => (this.log += bytes.toString()));
  }

  /** Has the agent of a session make calls, one by one; answers what its tools said. */
  async turn(session: string, ...calls: readonly ScriptedCall[]): Promise<readonly string[]> {
    const { model } = this.#options;
    const directive = model.directive(...calls);
    const answer = await fetch(`http://127.0.0.1:${String(this.#port)}/v1/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${SECRET}`,
        "content-type": "application/json",
        "x-openclaw-session-key": session,
      },
      body: JSON.stringify({
        model: `openclaw/${session.split(":")[1] ?? "main"}`,
        messages: [{ role: "user", content: directive }],
      }),
    });
    const text = await answer.text();
    if (answer.status !== 200) return [`${String(answer.status)} ${text}`];
    return [...model.outputs(directive), text];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 8000);
    await exited;
    clearTimeout(timer);
  }

  async #listening(): Promise<void> {
    for (let tries = 0; tries < START_TRIES; tries += 1) {
      if (this.#child.exitCode !== null) break;
      const ready = await fetch(`http://127.0.0.1:${String(this.#port)}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (ready) return;
      await delay(100);
    }
    await this[Symbol.asyncDispose]();
    throw new Error(`OpenClaw's gateway did not start: ${this.log.slice(-3000)}`);
  }
}

/** Runs OpenClaw's command to its end; answers its exit code and output. */
export async function runOpenClaw(
  options: Pick<OpenClawOptions, "home" | "env">,
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(node24, [openclaw, ...args], {
    cwd: options.home,
    env: environment(options),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

function environment({ home, env }: Pick<OpenClawOptions, "home" | "env">): NodeJS.ProcessEnv {
  const { PATH = "" } = process.env;
  return { PATH, ...env, HOME: home, OPENCLAW_HOME: home, NO_COLOR: "1" };
}

/** Writes the configuration of an OpenClaw; answers the port that it will listen on. */
export async function configureOpenClaw(options: OpenClawOptions): Promise<number> {
  const port = await freePort();
  const { home, workspace, model, sandbox, agents, plugins, mcp } = options;
  const provider = {
    baseUrl: model.url,
    apiKey: "none",
    api: "openai-completions",
    models: [
      {
        ...{ id: "lab-1", name: "Lab", reasoning: false, input: ["text"] },
        cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
        ...{ contextWindow: 196_608, maxTokens: 8192 },
      },
    ],
  };
  const whole = {
    gateway: {
      ...{ mode: "local", port, bind: "loopback", auth: { mode: "token", token: SECRET } },
      http: { endpoints: { chatCompletions: { enabled: true } } },
    },
    update: { checkOnStart: false, auto: { enabled: false } },
    telemetry: { enabled: false },
    discovery: { mdns: { mode: "off" } },
    models: { mode: "merge", providers: { lab: provider } },
    agents: {
      defaults: { model: { primary: "lab/lab-1" }, workspace, skipBootstrap: true, sandbox },
      list: agents,
    },
    tools: {
      ...{ profile: "coding", toolSearch: false },
      // Tools of MCP servers are hidden from sandboxed sessions without this.
      sandbox: { tools: { alsoAllow: ["door__*", "bundle-mcp"] } },
    },
    mcp: { servers: mcp },
    plugins,
  };
  mkdirSync(join(home, ".openclaw"), { recursive: true });
  writeFileSync(join(home, ".openclaw", "openclaw.json"), JSON.stringify(whole, null, 2), { mode: 0o600 });
  return port;
}
