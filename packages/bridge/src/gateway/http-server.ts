import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import type { GatewayLimits } from "./config.ts";
import { newCorrelationId } from "./correlation.ts";
import { refuseSocket } from "./respond.ts";

/** Who serves what a server receives. */
export interface ServerUse {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, wire: Duplex, head: Buffer): void;
}

/** An HTTP server with the gateway's limits, that answers malformed requests with problem documents too. */
export function makeHttpServer(limits: GatewayLimits, use: ServerUse): Server {
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(1000, limits.headersMs),
    insecureHTTPParser: false,
    noDelay: true,
  });
  server.maxConnections = limits.connections;
  // Node would silently leave out the headers beyond its own count; the guard refuses them instead.
  server.maxHeadersCount = 0;
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    endWithConnection(request.socket, response);
    use.request(request, response);
  });
  server.on("upgrade", (request: IncomingMessage, wire: Duplex, head: Buffer) => {
    use.upgrade(request, wire, head);
  });
  server.on("connect", (_request: IncomingMessage, wire: Duplex) => {
    wire.on("error", () => wire.destroy());
    refuseSocket(wire, notServed("CONNECT"), newCorrelationId());
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    response.shouldKeepAlive = false;
    endWithConnection(request.socket, response);
    use.request(request, response);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, wire: Duplex) => {
    if (error.code === "ECONNRESET" || !wire.writable) wire.destroy();
    else refuseSocket(wire, parseError(error.code), newCorrelationId());
  });
  return server;
}

/** The answers of each connection that are not over. */
const open = new WeakMap<Duplex, Set<ServerResponse>>();

/**
 * Node tells of a connection's end only the answer whose turn it is. One that waits behind it, to a request that was sent
 * ahead, would never be over, and neither would what waits for that.
 */
function endWithConnection(wire: Duplex, response: ServerResponse): void {
  const answers = open.get(wire) ?? new Set();
  if (!open.has(wire)) {
    open.set(wire, answers);
    wire.once("close", () => setImmediate(() => [...answers].forEach(endUnanswered)));
  }
  answers.add(response);
  response.once("close", () => answers.delete(response));
}

function endUnanswered(response: ServerResponse): void {
  if (response.closed) return;
  response.destroy();
  response.emit("close");
}

function parseError(code: string | undefined): DoorwardError {
  if (code === "HPE_HEADER_OVERFLOW" || code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") {
    return new DoorwardError({
      code: "INPUT_TOO_LARGE",
      message: "Cannot accept the request: its headers are too large",
    });
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new DoorwardError({
      code: "TIMED_OUT",
      message: "Cannot accept the request: it did not arrive in time",
    });
  }
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: "Cannot accept the request: it is not plain HTTP/1.1",
  });
}

function notServed(method: string): DoorwardError {
  return new DoorwardError({
    code: "METHOD_NOT_ALLOWED",
    message: `Cannot accept the request: the bridge is no proxy, "${method}" is not served`,
    details: { allow: "GET, POST, DELETE" },
  });
}
