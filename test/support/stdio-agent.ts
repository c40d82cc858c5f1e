import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { spawnDoorward } from "./command.ts";
import type { Lab } from "./lab.ts";

/** An answer of JSON-RPC. */
export interface Answer {
  readonly id: string | number | null;
  readonly result?: {
    readonly content?: readonly { readonly text?: string }[];
    readonly structuredContent?: Readonly<Record<string, unknown>>;
    readonly tools?: readonly { readonly name: string }[];
  };
  readonly error?: {
    readonly message: string;
    readonly data?: { readonly code: string; readonly hint?: string };
  };
}

/** An agent's client of the smallest kind, on the streams of `doorward mcp`. */
export class StdioAgent implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly answers: Answer[] = [];
  stderr = "";
  #rest = "";
  #count = 0;

  constructor(lab: Lab, args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = "/") {
    this.child = spawnDoorward(["mcp", ...args], { ...lab.env, ...env }, { cwd });
    this.ended = once(this.child, "close").then(([code]) => code as number | null);
    this.child.stdout?.on("data", (chunk: Buffer) => this.#take(chunk.toString()));
    this.child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.child.stdin?.on("error", () => undefined);
  }

  /** Begins a session of the revision before 2026-07-28. */
  async begin(): Promise<Answer> {
    const clientInfo = { name: "lab", version: "1.0" };
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
    const answer = await this.ask("initialize", params);
    this.write({ method: "notifications/initialized" });
    return answer;
  }

  /** Sends a request; answers its id. */
  send(method: string, params: unknown): number {
    this.#count += 1;
    this.write({ id: this.#count, method, params });
    return this.#count;
  }

  async ask(method: string, params: unknown = {}): Promise<Answer> {
    return await this.answer(this.send(method, params));
  }

  /** Calls a tool. */
  call(name: string, args: unknown): Promise<Answer> {
    return this.ask("tools/call", { name, arguments: args });
  }

  write(message: object): void {
    this.child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  /** Waits for an answer, three minutes at most. */
  async answer(id: number): Promise<Answer> {
    const end = performance.now() + 180_000;
    for (;;) {
      const found = this.answers.find((answer) => answer.id === id);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || performance.now() > end)
        throw new Error(`no answer to ${String(id)}: ${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGTERM");
    await this.ended;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    this.answers.push(...lines.map((line) => JSON.parse(line) as Answer));
  }
}
