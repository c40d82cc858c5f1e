import type { IncomingMessage } from "node:http";
import { DoorwardError, type ErrorCode } from "@doorward/contracts";
import { readAuthority, type Authority } from "./authority.ts";
import { protectedConnectionNames, valuesOf } from "./header-rules.ts";
import type { FrontLimits } from "./limits.ts";

/** Where a request goes: the authority it names and its path with query, exactly as written. */
export interface RequestTarget {
  readonly authority: Authority;
  readonly path: string;
}

const METHODS = new Set(
  (
    "GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH MKACTIVITY " +
    "CHECKOUT MERGE PURGE QUERY"
  ).split(" "),
);
const ABSOLUTE = /^http:\/\/([^/?#]*)([/?][\x21-\x7e]*)?$/i;
const ORIGIN = /^\/[\x21-\x7e]*$/;
const ONCE = ["host", "content-length", "transfer-encoding", "expect", "upgrade", "authorization"];

/**
 * Refuses what two readers of one request could read differently. The parser under it (llhttp, strict) has already refused
 * bare CR and LF, folded lines, both a length and chunks, and characters that no header or target may hold.
 */
export function refuseAmbiguous(request: IncomingMessage, limits: FrontLimits): void {
  const { rawHeaders } = request;
  const target = request.url ?? "";
  if (request.httpVersion !== "1.1" && request.httpVersion !== "1.0")
    throw bad("its HTTP version is unknown");
  if (!METHODS.has(request.method ?? "")) {
    throw bad(`method ${JSON.stringify(request.method)} does not pass`, "METHOD_NOT_ALLOWED");
  }
  if (target.length > limits.targetBytes) throw bad("its target is too long", "INPUT_TOO_LARGE");
  if (rawHeaders.length / 2 > limits.headers) throw bad("it has too many headers", "INPUT_TOO_LARGE");
  for (const name of ONCE) {
    if (valuesOf(rawHeaders, name).length > 1) throw bad(`it has more than one "${name}" header`);
  }
  refuseFraming(request);
  const [stripped] = protectedConnectionNames(rawHeaders);
  if (stripped !== undefined) throw bad(`its Connection header lists "${stripped}"`);
}

function refuseFraming(request: IncomingMessage): void {
  const [encoding] = valuesOf(request.rawHeaders, "transfer-encoding");
  if (encoding === undefined) return;
  if (request.httpVersion !== "1.1") throw bad("HTTP/1.0 has no transfer codings");
  if (encoding.trim().toLowerCase() !== "chunked") throw bad("it has another transfer coding than chunked");
}

/** Reads the absolute form `http://host[:port]/path` that a program sends to a proxy. */
export function absoluteTarget(request: IncomingMessage): RequestTarget {
  const target = request.url ?? "";
  if (target.startsWith("/") || target === "*") {
    throw bad("this is the machine's egress proxy, and the request names no host");
  }
  const parts = ABSOLUTE.exec(target);
  if (parts === null) throw bad("its target is not of the form http://host[:port]/path");
  const [, authority = "", path = "/"] = parts;
  if (authority.includes("@")) throw bad("its target holds credentials");
  if (path.includes("#")) throw bad("its target holds a fragment");
  const read = readAuthority(authority, 80);
  requireHost(request, read, 80);
  return { authority: read, path: path.startsWith("?") ? `/${path}` : path };
}

/** Reads the origin form `/path` inside a tunnel to one host; the Host header must name that host. */
export function originTarget(
  request: IncomingMessage,
  authority: Authority,
  defaultPort: number,
): RequestTarget {
  const path = request.url ?? "";
  if (!ORIGIN.test(path) || path.includes("#")) throw bad("its target is not a path");
  requireHost(request, authority, defaultPort);
  return { authority, path };
}

function requireHost(request: IncomingMessage, authority: Authority, defaultPort: number): void {
  const [text] = valuesOf(request.rawHeaders, "host");
  if (text === undefined) throw bad("it has no Host header");
  const named = readAuthority(text, defaultPort);
  if (named.host === authority.host && named.port === authority.port) return;
  throw new DoorwardError({
    code: "EGRESS_MISMATCH",
    message:
      `Cannot pass on a request: it is for "${authority.host}:${authority.port}", ` +
      `and its Host header names "${named.host}:${named.port}"`,
  });
}

function bad(why: string, code: ErrorCode = "PROTOCOL_ERROR"): DoorwardError {
  return new DoorwardError({ code, message: `Cannot pass on a request: ${why}` });
}
