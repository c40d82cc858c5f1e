import type {
  JSONRPCMessage,
  JSONRPCRequest,
  McpServer,
  RequestId,
  Transport,
  TransportSendOptions,
} from "@modelcontextprotocol/server";
import type { WaitingBytes } from "../../door.ts";
import type { ClientInfo } from "../agent-session.ts";
import type { Exchange } from "./exchange.ts";
import { PostAnswer } from "./post-answer.ts";

/** How often a client whose call runs on is told that somebody is there. */
const HEARTBEAT_MS = 15_000;

interface Posted {
  readonly exchange: Exchange;
  readonly answer: PostAnswer;
  readonly over: () => void;
}

/**
 * The requests that all clients of a session post, brought to one MCP server: each under a number of its own, so that
 * clients may use the same ids, and its answer written where it was asked.
 */
export class PostedRequests implements Transport {
  onmessage?: Transport["onmessage"];
  onclose?: Transport["onclose"];
  onerror?: Transport["onerror"];
  readonly #posted = new Map<RequestId, Posted>();
  readonly #bytes: WaitingBytes;
  #last = 0;
  #heart: NodeJS.Timeout | undefined;

  /** Answers that are not read yet are counted there. */
  constructor(bytes: WaitingBytes) {
    this.#bytes = bytes;
  }

  /** Connects the server that is to answer. */
  async serveWith(server: McpServer): Promise<void> {
    await server.connect(this);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Who sent the request of a number. */
  clientOf(id: RequestId): ClientInfo | null {
    return this.#posted.get(id)?.exchange.client ?? null;
  }

  /** Serves one; resolves when it is answered, or when nobody wants the answer any more. */
  async serve(exchange: Exchange, request: JSONRPCRequest): Promise<void> {
    this.#last += 1;
    const id = this.#last;
    const { signal, response } = exchange;
    const cancel = (): void => this.#cancel(id);
    signal.addEventListener("abort", cancel, { once: true });
    response.once("close", cancel);
    try {
      await new Promise<void>((resolve) => {
        this.#posted.set(id, { exchange, answer: new PostAnswer(response, this.#bytes), over: resolve });
        this.#heart ??= setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
        this.onmessage?.({ ...request, id });
      });
    } finally {
      this.#forget(id);
      signal.removeEventListener("abort", cancel);
      response.off("close", cancel);
    }
  }

  send(message: JSONRPCMessage, { relatedRequestId }: TransportSendOptions = {}): Promise<void> {
    if ("result" in message || "error" in message) {
      const posted = message.id === undefined ? undefined : this.#posted.get(message.id);
      posted?.answer.end(JSON.stringify({ ...message, id: posted.exchange.id }));
      posted?.over();
    } else if (relatedRequestId !== undefined) {
      this.#posted.get(relatedRequestId)?.answer.tell(message);
    }
    return Promise.resolve();
  }

  close(): Promise<void> {
    for (const id of [...this.#posted.keys()]) this.#cancel(id);
    this.onclose?.();
    return Promise.resolve();
  }

  #cancel(id: RequestId): void {
    const posted = this.#posted.get(id);
    if (posted === undefined) return;
    this.#forget(id);
    this.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } });
    posted.over();
  }

  #forget(id: RequestId): void {
    this.#posted.delete(id);
    if (this.#posted.size > 0) return;
    clearInterval(this.#heart);
    this.#heart = undefined;
  }

  #beat(): void {
    for (const { answer } of this.#posted.values()) answer.beat();
  }
}
