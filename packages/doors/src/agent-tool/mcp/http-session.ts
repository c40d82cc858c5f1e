import type { IncomingMessage, ServerResponse } from "node:http";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import {
  classifyInboundRequest,
  createMcpHandler,
  isJsonContentType,
  isJSONRPCRequest,
  type JSONRPCRequest,
  type McpHttpHandler,
} from "@modelcontextprotocol/server";
import { FirstAbort } from "../../first-abort.ts";
import { readJsonBody } from "../../json-body.ts";
import type { AgentSession, ClientInfo } from "../agent-session.ts";
import { MCP_MESSAGE_BYTES } from "../endpoints.ts";
import { Exchange } from "./exchange.ts";
import { PostedRequests } from "./posted-requests.ts";
import { takeRequest } from "./request-bytes.ts";
import { RPC, refusalOf, rpcError, type RpcError } from "./rpc-errors.ts";
import { field, SESSION_VERSIONS, type McpServerOf } from "./served-client.ts";
import { isSessionIdOf, newSessionId } from "./session-ids.ts";
import { webRequestOf, writeAnswer } from "./web-answer.ts";

const BODY = { bodyBytes: MCP_MESSAGE_BYTES, bodyDepth: 64 } as const;
/** Clients of one grant whose names are remembered, and whose ends are. */
const CLIENTS = 256;

/**
 * MCP over the plain requests of one grant. Clients of the revisions with sessions get an id that names them and holds
 * nothing; one server answers all their requests. The handshake, requests of later revisions, and whatever is wrong with
 * a request get a server of their own from the SDK's handler.
 */
export class HttpSession {
  readonly #session: AgentSession;
  readonly #handler: McpHttpHandler;
  readonly #posted: PostedRequests;
  readonly #connected: Promise<void>;
  readonly #exchanges = new Set<Exchange>();
  readonly #exchangeOf = new WeakMap<Request, Exchange>();
  readonly #clients = new Map<string, ClientInfo>();
  readonly #ended = new Set<string>();

  constructor(session: AgentSession, serverOf: McpServerOf) {
    this.#session = session;
    this.#posted = new PostedRequests(session.door.bytes);
    this.#handler = createMcpHandler(({ requestInfo }) => {
      const exchange = requestInfo === undefined ? undefined : this.#exchangeOf.get(requestInfo);
      if (exchange === undefined)
        throw new DoorwardError({ code: "INTERNAL", message: "An unknown MCP request" });
      try {
        return serverOf({ session, client: () => exchange.client });
      } catch (fault) {
        exchange.fault = fault;
        throw fault;
      }
    });
    const server = serverOf({ session, client: (request) => this.#posted.clientOf(request) });
    this.#connected = this.#posted.serveWith(server);
    session.door.signal.addEventListener("abort", () => void this.#close(), { once: true });
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
    const taken = takeRequest(request, response, this.#session.door.bytes);
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
    taken.whole();
    const exchange = new Exchange(body, response);
    const reason = legacyReason(request, body);
    if (reason !== null && !this.#entersLegacy(exchange, request)) return;
    const plain = reason === "no-claim" ? plainRequest(request, body) : undefined;
    if (plain === undefined) await this.#exchange(request, exchange, gone);
    else await this.#serving(exchange, () => this.#posted.serve(exchange, plain));
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

  /** By the SDK's handler, with a server of its own. */
  async #exchange(request: IncomingMessage, exchange: Exchange, gone: AbortSignal): Promise<void> {
    using first = new FirstAbort(gone, this.#session.door.signal, exchange.signal);
    const { signal } = first;
    const web = webRequestOf(request, signal);
    this.#exchangeOf.set(web, exchange);
    await this.#serving(exchange, async () => {
      const answer = await this.#handler.fetch(web, { parsedBody: exchange.body });
      if (exchange.fault !== undefined) throw toDoorwardError(exchange.fault);
      await writeAnswer(answer, exchange.response, { gone: signal, bytes: this.#session.door.bytes });
    });
  }

  /** Serves one that can be cancelled, and that learns why it ends when the session does. */
  async #serving(exchange: Exchange, serve: () => Promise<void>): Promise<void> {
    this.#exchanges.add(exchange);
    try {
      await this.#connected;
      await serve();
    } finally {
      this.#exchanges.delete(exchange);
    }
  }

  /** Tells everybody who waits why it ends. */
  async #close(): Promise<void> {
    const error = toDoorwardError(this.#session.door.signal.reason);
    for (const exchange of this.#exchanges) exchange.endWith(refusalOf(exchange.id, error));
    await Promise.all([this.#handler.close(), this.#posted.close()]);
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
    for (const exchange of this.#exchanges) {
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
    for (const exchange of this.#exchanges) if (exchange.sessionId === id) exchange.cancel();
    response.writeHead(200).end();
  }
}

/** Why a message belongs to the revisions with sessions; null for one of a later revision, or none at all. */
function legacyReason({ headers }: IncomingMessage, body: unknown): string | null {
  const { "mcp-protocol-version": version, "mcp-method": method, "mcp-name": name } = headers;
  const outcome = classifyInboundRequest({
    httpMethod: "POST",
    body,
    ...(typeof version === "string" ? { protocolVersionHeader: version } : {}),
    ...(typeof method === "string" ? { mcpMethodHeader: method } : {}),
    ...(typeof name === "string" ? { mcpNameHeader: name } : {}),
  });
  return outcome.kind === "legacy" ? outcome.reason : null;
}

/** A request with nothing wrong in its headers; what is wrong with another is the SDK's to say. */
function plainRequest({ headers }: IncomingMessage, body: unknown): JSONRPCRequest | undefined {
  const { accept = "", "mcp-protocol-version": version } = headers;
  const takesBoth = accept.includes("application/json") && accept.includes("text/event-stream");
  const known = version === undefined || (typeof version === "string" && SESSION_VERSIONS.includes(version));
  return takesBoth && known && isJSONRPCRequest(body) ? body : undefined;
}

function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (response.writableFinished) return;
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
