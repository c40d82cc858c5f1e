import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One tool call that the model makes. */
export interface ScriptedCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Namespace of a tool, as Codex has it for MCP servers. */
  readonly namespace?: string;
}

interface Item {
  readonly type?: string;
  readonly role?: string;
  readonly output?: unknown;
  readonly content?: unknown;
}

interface ChatRequest {
  readonly stream?: boolean;
  readonly messages?: readonly Item[];
  readonly input?: readonly Item[];
  readonly tools?: readonly { name?: string; function?: { name: string } }[];
}

type Answer = { readonly call: ScriptedCall; readonly id: string } | { readonly text: string };

/**
 * A model on loopback that does what a test says: after a message with a directive it makes the directive's calls, one
 * by one, then says DONE. It speaks OpenAI's responses and chat completions.
 */
export class ScriptedModel implements AsyncDisposable {
  readonly #server: Server;
  readonly #scripts = new Map<string, readonly ScriptedCall[]>();
  readonly #outputs = new Map<string, readonly string[]>();
  /** Names of the tools that the newest request offered. */
  tools: readonly string[] = [];
  requests = 0;

  static async open(): Promise<ScriptedModel> {
    const model = new ScriptedModel();
    model.#server.listen(0, "127.0.0.1");
    await once(model.#server, "listening");
    return model;
  }

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}/v1`;
  }

  /** Remembers calls; answers the message that makes the model do them. */
  directive(...calls: readonly ScriptedCall[]): string {
    const name = `RUN-SCRIPT-${String(this.#scripts.size + 1)}.`;
    this.#scripts.set(name, calls);
    return name;
  }

  /** What the tools answered to a directive's calls so far. */
  outputs(directive: string): readonly string[] {
    return this.#outputs.get(directive) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    if (request.method !== "POST") {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ object: "list", data: [], models: [] }));
      return;
    }
    this.requests += 1;
    const asked = JSON.parse(body) as ChatRequest;
    if ((asked.tools ?? []).length > 0)
      this.tools = (asked.tools ?? []).map((tool) => tool.function?.name ?? tool.name ?? "");
    const answer = this.#next(asked.input ?? asked.messages ?? []);
    if (asked.input !== undefined) respond(response, answer);
    else complete(response, answer, asked.stream === true);
  }

  #next(items: readonly Item[]): Answer {
    for (const [name, calls] of [...this.#scripts].reverse()) {
      const at = items.findLastIndex((item) => item.role === "user" && JSON.stringify(item).includes(name));
      if (at < 0) continue;
      const outputs = items
        .slice(at + 1)
        .filter(isOutput)
        .map(textOf);
      this.#outputs.set(name, outputs);
      const call = calls[outputs.length];
      if (call === undefined) return { text: "DONE" };
      return { call, id: `call_${name.replace(/\D/g, "")}_${String(outputs.length)}` };
    }
    return { text: "nothing to do" };
  }
}

function isOutput({ role, type }: Item): boolean {
  return role === "tool" || type?.endsWith("_output") === true;
}

function textOf({ output, content }: Item): string {
  const value = output ?? content;
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return JSON.stringify(value);
  return value.map((part: { text?: string }) => part.text ?? JSON.stringify(part)).join("");
}

function respond(response: ServerResponse, answer: Answer): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type: string, rest: object): void =>
    void response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`);
  const item =
    "text" in answer
      ? { type: "message", id: "m", role: "assistant", content: [{ type: "output_text", text: answer.text }] }
      : {
          type: "function_call",
          id: `fc_${answer.id}`,
          call_id: answer.id,
          name: answer.call.name,
          ...(answer.call.namespace === undefined ? {} : { namespace: answer.call.namespace }),
          arguments: JSON.stringify(answer.call.args),
        };
  send("response.created", { response: { id: "r" } });
  send("response.output_item.added", { output_index: 0, item });
  send("response.output_item.done", { output_index: 0, item });
  const usage = {
    ...{ input_tokens: 1, input_tokens_details: null },
    ...{ output_tokens: 1, output_tokens_details: null, total_tokens: 2 },
  };
  send("response.completed", { response: { id: "r", usage } });
  response.end();
}

function complete(response: ServerResponse, answer: Answer, stream: boolean): void {
  const calls =
    "text" in answer
      ? undefined
      : [
          {
            index: 0,
            id: answer.id,
            type: "function",
            function: { name: answer.call.name, arguments: JSON.stringify(answer.call.args) },
          },
        ];
  const message = {
    role: "assistant",
    content: "text" in answer ? answer.text : null,
    ...(calls === undefined ? {} : { tool_calls: calls }),
  };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  const finish = calls === undefined ? "stop" : "tool_calls";
  const base = { id: "c", created: 1, model: "lab-1" };
  if (!stream) {
    response.setHeader("content-type", "application/json");
    const choices = [{ index: 0, message, finish_reason: finish }];
    response.end(JSON.stringify({ ...base, object: "chat.completion", choices, usage }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const chunk = (delta: object, reason: string | null): void =>
    void response.write(
      `data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", usage, choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`,
    );
  chunk(message, null);
  chunk({}, finish);
  response.end("data: [DONE]\n\n");
}
