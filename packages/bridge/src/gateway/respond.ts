import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { DoorwardError } from "@doorward/contracts";
import { problemHeaders, problemOf } from "./problem.ts";

const lingerMs = 500;

/** Headers of every answer: nothing is cached, framed, sniffed or shared with other origins. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Sends a JSON answer. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  correlationId: string,
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    ...COMMON_HEADERS,
    "content-type": "application/json",
    "content-length": bytes.length,
    "x-correlation-id": correlationId,
  });
  response.end(bytes);
}

/** Sends an error as problem document; where the request's body was not read, the connection ends after it. */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: DoorwardError,
  correlationId: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(problemOf(error, correlationId)));
  response.writeHead(error.entry.status, {
    ...COMMON_HEADERS,
    ...problemHeaders(error),
    ...headers,
    "content-type": "application/problem+json",
    "content-length": bytes.length,
    "x-correlation-id": correlationId,
    ...(request.complete ? {} : { connection: "close" }),
  });
  if (request.complete) response.end(bytes);
  else endAfterRest(request, response, bytes);
}

/** Sends an error on a bare socket, before an upgrade or where the request could not be parsed, and ends it. */
export function refuseSocket(
  socket: Duplex,
  error: DoorwardError,
  correlationId: string,
  more: Readonly<Record<string, string>> = {},
): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(problemOf(error, correlationId));
  const headers: Record<string, string> = {
    ...COMMON_HEADERS,
    ...problemHeaders(error),
    ...more,
    connection: "close",
    "content-type": "application/problem+json",
    "content-length": String(Buffer.byteLength(body)),
    "x-correlation-id": correlationId,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.once("finish", () => {
    setTimeout(() => socket.destroy(), lingerMs).unref();
  });
  socket.end(`HTTP/1.1 ${String(error.entry.status)} ${error.code}\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
}

/** A client that is still sending would see a reset instead of the answer, so what it sends is dropped for a moment. */
function endAfterRest(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const end = (): void => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, lingerMs);
  request.once("end", end).once("close", end);
  response.write(bytes);
  request.resume();
}
