import type { IncomingMessage, ServerResponse } from "node:http";
import { DoorwardError } from "@doorward/contracts";
import type { WaitingBytes } from "../../door.ts";
import { MCP_MESSAGE_BYTES } from "../endpoints.ts";

/** The bytes of one request, counted until its answer is over. */
export interface RequestBytes {
  /** The body is whole: what it might have had beyond that waits no more. */
  whole(): void;
}

/**
 * Counts the body of a request before it is read: what it declares, or the most that it may have. Has to be called before
 * anything reads it. Throws RATE_LIMITED when too many bytes of the grant wait already.
 */
export function takeRequest(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: WaitingBytes,
): RequestBytes {
  let taken = expected(request);
  if (!bytes.take(taken)) throw tooMany();
  let read = 0;
  request.on("data", (chunk: Buffer) => (read += chunk.length));
  response.once("close", () => {
    bytes.give(taken);
    taken = 0;
  });
  return {
    whole: () => {
      const beyond = Math.max(0, taken - read);
      bytes.give(beyond);
      taken -= beyond;
    },
  };
}

function expected({ headers }: IncomingMessage): number {
  const declared =
    headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : Infinity;
  return Math.min(Number.isNaN(declared) ? Infinity : declared, MCP_MESSAGE_BYTES);
}

function tooMany(): DoorwardError {
  return new DoorwardError({
    code: "RATE_LIMITED",
    message: "Cannot take request: too many, or too large ones, of this grant wait already",
    hint: "Wait until some of them are answered",
  });
}
