import type { IncomingMessage, ServerResponse } from "node:http";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import {
  createMcpHandler,
  isJsonContentType,
  isLegacyRequest,
  type McpHttpHandler,
} from "@modelcontextprotocol/server";
import { readJsonBody } from "../../json-body.ts";
import type { AgentSession, ClientInfo } from "../agent-session.ts";
import { MCP_MESSAGE_BYTES } from "../endpoints.ts";
import { Exchange } from "./exchange.ts";
import { RPC, refusalOf, rpcError, type RpcError } from "./rpc-errors.ts";
import { field, type McpServerOf } from "./served-client.ts";
import { isSessionIdOf, newSessionId } from "./session-ids.ts";
import { webRequestOf, writeAnswer } from "./web-answer.ts";

const BODY = { bodyBytes: MCP_MESSAGE_BYTES, bodyDepth: 64 } as const;
/** Clients of one grant whose names are remembered, and whose ends are. */
const CLIENTS = 256;

/**
 * MCP over the plain requests of one grant. Each request gets a server of its own; what outlives it is the agent's
 * session. Clients of the revisions with sessions get an id that names them and holds nothing.
 */
export class HttpSession {
  readonly #session: AgentSession;
  readonly #handler: McpHttpHandler;
  readonly #exchanges = new Map<Request, Exchange>();
  readonly #clients = new Map<string, ClientInfo>();
  readonly #ended = new Set<string>();

  constructor(session: AgentSession, serverOf: McpServerOf) {
    this.#session = session;
    this.#handler = createMcpHandler(({ requestInfo }) => {
      const exchange = requestInfo === undefined ? undefined : this.#exchanges.get(requestInfo);
      if (exchange === undefined)
        throw new DoorwardError({ code: "INTERNAL", message: "An unknown MCP request" });
      try {
        return serverOf({ session, client: () => exchange.client });
      } catch (fault) {
        exchange.fault = fault;
        throw fault;
      }
    });
    session.door.signal.addEventListener("abort", () => void this.#handler.close(), { once: true });
  }

  /** Serves one request. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === "GET") {
      // Nothing is ever told outside of an answer, so there is nothing to listen to.
      answerError(response, 405, rpcError(null, RPC.refused, "Method not allowed."), {
        allow: "POST, DELETE",
      });
      return;
    }
    if (request.method === "DELETE") this.#endClient(request, response);
    else await this.#post(request, response);
  }

  async #post(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = goneSignal(response);
    if (!isJsonContentType(request.headers["content-type"])) {
      request.resume();
      answerError(
        response,
        415,
        rpcError(null, RPC.refused, "Unsupported Media Type: it is not application/json"),
      );
      return;
    }
    const body = await this.#bodyOf(request, response, gone);
    if (body === undefined) return;
    const exchange = new Exchange(body, response);
    const web = webRequestOf(request, AbortSignal.any([gone, this.#session.door.signal, exchange.signal]));
    if ((await isLegacyRequest(web, body)) && !this.#entersLegacy(exchange, request)) return;
    await this.#exchange(web, exchange, response);
  }

  /** Finds out which client of the revisions with sessions sent it; false when it was answered with that. */
  #entersLegacy(exchange: Exchange, request: IncomingMessage): boolean {
    const id = request.headers["mcp-session-id"];
    const { response } = exchange;
    if (exchange.method === "initialize") {
      response.setHeader("mcp-session-id", this.#nameClient(exchange));
      return true;
    }
    if (typeof id === "string" && !this.#knows(id)) {
      answerError(response, 404, rpcError(exchange.id, RPC.sessionNotFound, "Session not found"));
      return false;
    }
    exchange.sessionId = typeof id === "string" ? id : "";
    exchange.client ??= this.#clients.get(exchange.sessionId) ?? null;
    if (exchange.method !== "notifications/cancelled") return true;
    this.#cancel(exchange);
    response.writeHead(202).end();
    return false;
  }

  async #exchange(web: Request, exchange: Exchange, response: ServerResponse): Promise<void> {
    const { signal: over } = this.#session.door;
    const lastWords = (): void => {
      exchange.endWith(refusalOf(exchange.id, toDoorwardError(over.reason)));
    };
    over.addEventListener("abort", lastWords, { once: true });
    this.#exchanges.set(web, exchange);
    try {
      const answer = await this.#handler.fetch(web, { parsedBody: exchange.body });
      if (exchange.fault !== undefined) throw toDoorwardError(exchange.fault);
      await writeAnswer(answer, response, web.signal);
    } finally {
      this.#exchanges.delete(web);
      over.removeEventListener("abort", lastWords);
    }
  }

  /** The body, or undefined where what is wrong with it was answered; one that is too large is the gateway's to refuse. */
  async #bodyOf(request: IncomingMessage, response: ServerResponse, gone: AbortSignal): Promise<unknown> {
    try {
      const body = await readJsonBody(request, BODY, gone);
      if (!Array.isArray(body)) return body;
      answerError(
        response,
        400,
        rpcError(null, RPC.invalidRequest, "Invalid Request: batches are not part of this protocol"),
      );
    } catch (thrown) {
      const error = toDoorwardError(thrown);
      if (error.code !== "INPUT_INVALID") throw error;
      answerError(response, 400, refusalOf(null, error, RPC.parseError));
    }
    return undefined;
  }

  /** Routes a cancellation, which comes as a request of its own, to the call that it names. */
  #cancel(notice: Exchange): void {
    const cancelled = field(field(notice.body, "params"), "requestId");
    for (const exchange of this.#exchanges.values()) {
      if (exchange.sessionId === notice.sessionId && exchange.id === cancelled) exchange.cancel();
    }
  }

  #knows(sessionId: string): boolean {
    return isSessionIdOf(this.#session.door.grantId, sessionId) && !this.#ended.has(sessionId);
  }

  #nameClient({ client }: Exchange): string {
    const id = newSessionId(this.#session.door.grantId);
    if (client !== null) keep(this.#clients, id, client);
    return id;
  }

  #endClient(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const id = request.headers["mcp-session-id"];
    if (typeof id !== "string" || !this.#knows(id)) {
      answerError(response, 404, rpcError(null, RPC.sessionNotFound, "Session not found"));
      return;
    }
    this.#clients.delete(id);
    keep(this.#ended, id);
    for (const exchange of this.#exchanges.values()) if (exchange.sessionId === id) exchange.cancel();
    response.writeHead(200).end();
  }
}

function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    controller.abort(new DoorwardError({ code: "ABORTED", message: "The caller went away" }));
  });
  return controller.signal;
}

function answerError(
  response: ServerResponse,
  status: number,
  error: RpcError,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(error));
  response
    .writeHead(status, { ...headers, "content-type": "application/json", "content-length": bytes.length })
    .end(bytes);
}

/** Adds to a bounded memory; the oldest is forgotten. */
function keep<Value>(memory: Map<string, Value>, key: string, value: Value): void;
function keep(memory: Set<string>, key: string): void;
function keep(memory: Map<string, unknown> | Set<string>, key: string, value?: unknown): void {
  if (memory instanceof Set) memory.add(key);
  else memory.set(key, value);
  const [oldest] = memory.keys();
  if (memory.size > CLIENTS && oldest !== undefined) memory.delete(oldest);
}
