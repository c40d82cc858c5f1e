import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
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
  // A program may end its side behind its request and still read the answer (node:http has no documented switch for it).
  Object.assign(server, { httpAllowHalfOpen: true });
  const start = (request: IncomingMessage): Connection | undefined => {
    const connection = connections.get(request.socket);
    connection?.headArrived();
    if (connection === undefined) request.socket.destroy();
    return connection;
  };
  /** What takes over the whole connection can't do so behind a request that is still served. */
  const alone = (request: IncomingMessage): Connection | undefined => {
    if (connections.get(request.socket)?.busy === false) return start(request);
    request.socket.destroy();
    return undefined;
  };
  const onRequest: RequestListener = (request, response) => {
    const connection = start(request);
    if (connection === undefined) return;
    connection.inTurn(response, () => forwardRequest(parts, connection.scope, request, response));
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
    const connection = alone(request);
    if (connection === undefined) return;
    if (head.length > 0) stream.unshift(head);
    void forwardUpgrade(parts, connection.scope, request, stream);
  });
  server.on("connect", (request, stream, head) => {
    const connection = alone(request);
    if (connection === undefined) return;
    if (head.length > 0) stream.unshift(head);
    void onConnect(request, stream, connection.scope);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, stream) => {
    const connection = connections.get(stream);
    if (connection !== undefined && error.code?.startsWith("HPE_") === true)
      parts.gate.refused(connection.scope.machine, null, badHead(error));
    // In the middle of an answer there is no place for another one.
    if (connection?.busy !== false || error.code === "ECONNRESET" || !stream.writable) {
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

/** Requests that a program may send ahead of their answers. */
const MAX_AHEAD = 64;

/** Holds a connection to its times, a complete head within them, and to its order, one request after the other. */
class Connection {
  readonly scope: RequestScope;
  readonly #stream: Duplex;
  readonly #keepAliveMs: number;
  #timer: NodeJS.Timeout;
  #over = false;
  #turn = Promise.resolve();
  #waiting = 0;
  #serving = 0;

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

  /** Serves a request when the one before is answered; none behind an answer that ends the connection. */
  inTurn(response: ServerResponse, serve: () => Promise<void>): void {
    this.#waiting += 1;
    if (this.#waiting > MAX_AHEAD) this.#stream.destroy();
    const closed = new Promise((resolve) => response.once("close", resolve));
    this.#turn = this.#turn.then(async () => {
      this.#waiting -= 1;
      if (this.#over) return;
      await serve();
      if (!response.shouldKeepAlive) this.#over = true;
      // A body may be on its way for long behind its answer.
      void closed.then(() => {
        this.#answered();
      });
    });
  }

  /** Whether a request is being served. */
  get busy(): boolean {
    return this.#serving > 0;
  }

  headArrived(): void {
    this.#serving += 1;
    clearTimeout(this.#timer);
  }

  #answered(): void {
    this.#serving -= 1;
    clearTimeout(this.#timer);
    if (!this.#over && !this.busy) this.#timer = this.#deadline(this.#keepAliveMs);
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
