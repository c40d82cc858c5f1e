import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, linkSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
const inPackage = `node_modules/@openai/codex-linux-${process.arch}/vendor/${arch}-unknown-linux-musl/bin/codex`;

/** Codex's program. */
export const codexProgram = fileURLToPath(new URL(inPackage, import.meta.url));

/** Why tests with Codex skip; false when it is installed. */
export const codexMissing = existsSync(codexProgram)
  ? false
  : "Codex is not installed: npm ci --ignore-scripts --prefix test/clients";

/** Puts Codex's program, a few hundred megabytes, somewhere else, without copying it where that can be helped. */
export function placeCodex(to: string): void {
  try {
    linkSync(codexProgram, to);
  } catch {
    copyFileSync(codexProgram, to);
  }
}

/** What Codex is told of a scripted model; the variable `LAB_KEY` has to be set. */
export function codexModel(url: string): string {
  return `model = "lab-1"
model_provider = "lab"

[model_providers.lab]
name = "lab"
base_url = "${url}"
wire_api = "responses"
env_key = "LAB_KEY"
`;
}

/** Runs `codex exec` to its end, as a CI job does; answers its exit code and all that it printed. */
export async function codexExec(
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(codexProgram, ["exec", "--skip-git-repo-check", ...args], {
    ...{ cwd, env: { ...env, LAB_KEY: "none" } },
    stdio: ["ignore", "pipe", "pipe"],
    ...{ timeout: 600_000, killSignal: "SIGKILL" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** The real Codex as a program that others embed: `codex app-server`, JSON-RPC on its stdin and stdout. */
export class CodexAppServer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #turns: { readonly thread: string; readonly status: string }[] = [];
  #changed: (() => void)[] = [];
  #id = 0;
  errors = "";

  /** Starts it with its own home; it lives until it is disposed. */
  static async start(
    program: string,
    home: string,
    env: Readonly<Record<string, string>>,
  ): Promise<CodexAppServer> {
    const server = new CodexAppServer(program, home, env);
    const clientInfo = { name: "doorward-test", version: "1" };
    await server.call("initialize", { clientInfo, capabilities: { experimentalApi: true } });
    server.#send({ method: "initialized" });
    return server;
  }

  private constructor(program: string, home: string, env: Readonly<Record<string, string>>) {
    const { PATH = "" } = process.env;
    this.#child = spawn(program, ["app-server"], {
      cwd: home,
      env: { PATH, HOME: home, CODEX_HOME: home, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stderr?.on("data", (bytes: Buffer) => (this.errors += bytes.toString()));
    const lines = createInterface({ input: this.#child.stdout! });
    lines.on("line", (line) => this.#received(JSON.parse(line) as Reply));
  }

  /** Calls a method; throws what Codex answered. */
  call(method: string, params: object): Promise<Record<string, unknown>> {
    this.#id += 1;
    const id = this.#id;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result as Record<string, unknown>);
        else reject(new Error(`${method}: ${error.message}`));
      });
      this.#send({ id, method, params });
    });
  }

  /** Runs a turn to its end; answers its status. */
  async turn(thread: string, text: string): Promise<string> {
    const before = this.#turns.length;
    await this.call("turn/start", { threadId: thread, input: [{ type: "text", text }] });
    const ended = (): { status: string } | undefined =>
      this.#turns.slice(before).find((turn) => turn.thread === thread);
    while (ended() === undefined) await new Promise<void>((resolve) => this.#changed.push(resolve));
    return ended()?.status ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  #received(reply: Reply): void {
    if (reply.id !== undefined && reply.method === undefined) {
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    } else if (reply.method === "turn/completed") {
      const { threadId, turn } = reply.params as { threadId: string; turn: { status: string } };
      this.#turns.push({ thread: threadId, status: turn.status });
      for (const changed of this.#changed.splice(0)) changed();
    }
  }

  #send(message: object): void {
    this.#child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }
}
