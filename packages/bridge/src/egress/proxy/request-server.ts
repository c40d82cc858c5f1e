import { createServer, STATUS_CODES, type IncomingMessage, type RequestListener } from "node:http";
import type { Duplex } from "node:stream";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { forwardRequest } from "./forward.ts";
import { refusalBytes, refusalOf } from "./refusal.ts";
import type { FrontParts, RequestScope } from "./scope.ts";
import { forwardUpgrade } from "./upgrade.ts";

/** What follows when a program asks for a tunnel by CONNECT. */
export type ConnectHandler = (request: IncomingMessage, stream: Duplex, scope: RequestScope) => Promise<void>;

/** Reads the requests of one stream after the other's end, and serves each. */
export interface RequestServer {
  /** Serves a stream until it is closed. */
  serve(stream: Duplex, scope: RequestScope): void;
}

/** Makes the request server of a front: node's own parser in its strict mode, never listening itself. */
export function requestServer(parts: FrontParts, onConnect: ConnectHandler): RequestServer {
  const connections = new WeakMap<Duplex, Connection>();
  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: parts.limits.headBytes,
    requireHostHeader: false,
    keepAliveTimeout: 0,
    requestTimeout: 0,
    headersTimeout: 0,
  });
  server.maxHeadersCount = parts.limits.headers + 1;
  const start = (request: IncomingMessage): Connection | undefined => {
    const connection = connections.get(request.socket);
    connection?.headArrived();
    if (connection === undefined) request.socket.destroy();
    return connection;
  };
  const onRequest: RequestListener = (request, response) => {
    const connection = start(request);
    if (connection === undefined) return;
    response.once("close", () => {
      connection.answered();
    });
    void forwardRequest(parts, connection.scope, request, response);
  };
  server.on("request", onRequest);
  server.on("checkContinue", onRequest);
  server.on("checkExpectation", (request, response) => {
    start(request);
    response.shouldKeepAlive = false;
    response.writeHead(417, STATUS_CODES[417] ?? "");
    response.end();
  });
  server.on("upgrade", (request, stream, head) => {
    const connection = start(request);
    if (connection === undefined) return;
    if (head.length > 0) stream.unshift(head);
    void forwardUpgrade(parts, connection.scope, request, stream);
  });
  server.on("connect", (request, stream, head) => {
    const connection = start(request);
    if (connection === undefined) return;
    if (head.length > 0) stream.unshift(head);
    void onConnect(request, stream, connection.scope);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, stream) => {
    // In the middle of an answer there is no place for another one.
    if (connections.get(stream)?.busy !== false || error.code === "ECONNRESET" || !stream.writable) {
      stream.destroy();
      return;
    }
    stream.end(refusalBytes(refusalOf(badHead(error), undefined)), () => {
      stream.destroy();
    });
  });
  return {
    serve(stream, scope) {
      connections.set(stream, new Connection(stream, scope, parts));
      server.emit("connection", stream);
    },
  };
}

/** Holds a connection to its times: a complete head within them, and one request after the other. */
class Connection {
  readonly scope: RequestScope;
  readonly #stream: Duplex;
  readonly #keepAliveMs: number;
  #timer: NodeJS.Timeout;
  #over = false;
  /** Whether a request is being served. */
  busy = false;

  constructor(stream: Duplex, scope: RequestScope, { limits }: FrontParts) {
    this.scope = scope;
    this.#stream = stream;
    this.#keepAliveMs = limits.keepAliveMs;
    this.#timer = this.#deadline(limits.headMs);
    stream.once("close", () => {
      this.#over = true;
      clearTimeout(this.#timer);
    });
  }

  headArrived(): void {
    this.busy = true;
    clearTimeout(this.#timer);
  }

  answered(): void {
    this.busy = false;
    clearTimeout(this.#timer);
    if (!this.#over) this.#timer = this.#deadline(this.#keepAliveMs);
  }

  #deadline(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#stream.destroy();
    }, ms);
  }
}

function badHead(error: NodeJS.ErrnoException): DoorwardError {
  const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
  const code = tooLarge ? "INPUT_TOO_LARGE" : "PROTOCOL_ERROR";
  return new DoorwardError({ code, message: `Cannot read a request: ${reasonOf(error)}` });
}

function reasonOf(error: Error): string {
  return "reason" in error && typeof error.reason === "string"
    ? error.reason
    : toDoorwardError(error).message;
}
