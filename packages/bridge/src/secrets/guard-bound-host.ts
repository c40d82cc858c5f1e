import { DenialError, DoorwardError } from "@doorward/contracts";

/** A request to a host that a secret is bound to, as the proxy read it. */
export interface BoundRequest {
  readonly host: string;
  readonly method: string;
  readonly rawHeaders: readonly string[];
}

/** Headers by which a program could have an answer cut up, packed or computed, so that an echo is not recognised. */
const DROPPED: ReadonlySet<string> = new Set([
  "a-im",
  "accept-encoding",
  "http2-settings",
  "if-range",
  "range",
  "sec-websocket-extensions",
  "te",
  "upgrade",
  "want-content-digest",
  "want-digest",
  "want-repr-digest",
]);

const REFUSED_METHODS: ReadonlySet<string> = new Set(["TRACE", "TRACK", "CONNECT", "DEBUG"]);

/**
 * Headers that a request to a bound host goes out with: whole answers in plain form are asked for. Throws
 * EGRESS_DENIED for what can't be looked through: TRACE and its kin.
 */
export function boundRequestHeaders(request: BoundRequest): string[] {
  const { host, method, rawHeaders } = request;
  if (REFUSED_METHODS.has(method.toUpperCase()))
    throw refused(host, `method "${method.slice(0, 20)}" is not for it`);
  const kept = pairs(rawHeaders).filter(([name]) => !DROPPED.has(name.toLowerCase()));
  return [...kept.flat(), "Accept-Encoding", "identity"];
}

/**
 * Refuses answers of a bound host that can't be looked through (EGRESS_ANSWER_REFUSED): packed ones, parts, and other
 * protocols than a WebSocket that was asked for and has no extension. The far side was asked for none of these, so
 * nothing that works is lost.
 */
export function guardBoundAnswer(
  host: string,
  status: number,
  rawHeaders: readonly string[],
  upgraded = false,
): void {
  const packed = [...headerValues(rawHeaders, "content-encoding")].find(
    (value) => !/^\s*(?:identity)?\s*$/i.test(value),
  );
  if (packed !== undefined) throw unreadable(host, `it is packed with "${packed.slice(0, 40)}"`);
  const transfer = [...headerValues(rawHeaders, "transfer-encoding")].find(
    (value) => !/^\s*chunked\s*$/i.test(value),
  );
  if (transfer !== undefined) throw unreadable(host, `it is transferred as "${transfer.slice(0, 40)}"`);
  if (status === 206) throw unreadable(host, "it is a part, which nobody asked for");
  if (status === 101 && !upgraded) throw unreadable(host, "it changes the protocol");
  if (headerValues(rawHeaders, "sec-websocket-extensions").some((value) => value.trim() !== ""))
    throw unreadable(host, "its WebSocket has an extension that was not asked for");
}

function pairs(rawHeaders: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    result.push([rawHeaders[at] ?? "", rawHeaders[at + 1] ?? ""]);
  }
  return result;
}

function headerValues(rawHeaders: readonly string[], name: string): string[] {
  return pairs(rawHeaders)
    .filter(([each]) => each.toLowerCase() === name)
    .map(([, value]) => value);
}

function refused(host: string, why: string): DenialError {
  return new DenialError({
    code: "EGRESS_DENIED",
    rule: "egress.secrets.bound-host",
    message: `Cannot send the request to "${host}", which a secret is bound to: ${why}`,
  });
}

function unreadable(host: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "EGRESS_ANSWER_REFUSED",
    message: `Cannot pass on the answer of "${host}", which a secret is bound to: ${why}`,
  });
}
