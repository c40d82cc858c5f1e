import type { DoorwardClient, McpConnection } from "@doorward/client";

/** What a tool answered over MCP. */
export interface ToolResult {
  readonly content: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent?: Readonly<Record<string, unknown>>;
  readonly isError?: boolean;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** An agent's MCP client of the smallest kind, over a WebSocket. */
export class AgentClient implements AsyncDisposable {
  readonly #connection: McpConnection;
  readonly #waiting = new Map<number, Waiting>();
  readonly #reading: Promise<void>;
  #count = 0;
  /** What the connection ended with. */
  ended: unknown;

  static async open(client: DoorwardClient, machine: string, name = "lab"): Promise<AgentClient> {
    const agent = new AgentClient(await client.openMcp(machine));
    const clientInfo = { name, version: "1.0" };
    await agent.ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    await agent.tell("notifications/initialized", {});
    return agent;
  }

  private constructor(connection: McpConnection) {
    this.#connection = connection;
    this.#reading = this.#read();
  }

  /** Sends a request; answers its result and throws its error. */
  ask(method: string, params: unknown): Promise<unknown> {
    return this.request(method, params).answer;
  }

  /** Sends a request whose id the test needs. */
  request(method: string, params: unknown): { readonly id: number; readonly answer: Promise<unknown> } {
    const id = (this.#count += 1);
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      if (this.ended !== undefined) this.#fail();
      else void this.#connection.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
    answer.catch(() => undefined);
    return { id, answer };
  }

  /** Sends a notification. */
  async tell(method: string, params: unknown): Promise<void> {
    await this.#connection.send(JSON.stringify({ jsonrpc: "2.0", method, params }));
  }

  /** Calls a tool. */
  async call(name: string, given: unknown): Promise<ToolResult> {
    return (await this.ask("tools/call", { name, arguments: given })) as ToolResult;
  }

  /** Calls a tool that must not fail; answers its structure. */
  async answer(name: string, given: unknown): Promise<Readonly<Record<string, unknown>>> {
    const result = await this.call(name, given);
    if (result.isError === true || result.structuredContent === undefined)
      throw new Error(`${name}: ${JSON.stringify(result.content)}`);
    return result.structuredContent;
  }

  /** Text of a failed call. */
  async refusal(name: string, given: unknown): Promise<string> {
    const result = await this.call(name, given);
    return result.isError === true ? result.content.map(({ text }) => text ?? "").join("\n") : "allowed";
  }

  /** Names of the tools that are offered. */
  async tools(): Promise<string[]> {
    const { tools } = (await this.ask("tools/list", {})) as { tools: { name: string }[] };
    return tools.map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
    await this.#reading;
  }

  async #read(): Promise<void> {
    try {
      for await (const text of this.#connection.messages()) this.#take(text);
    } catch (error) {
      this.ended = error;
      this.#fail();
    }
  }

  #take(text: string): void {
    const message = JSON.parse(text) as { id?: number; result?: unknown; error?: { message: string } };
    const waiting = this.#waiting.get(message.id ?? -1);
    if (waiting === undefined || message.id === undefined) return;
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting.resolve(message.result);
    else waiting.reject(new Error(message.error.message));
  }

  #fail(): void {
    const error = this.ended instanceof Error ? this.ended : new Error(String(this.ended));
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
