/** Header names and values in turn, as `rawHeaders` of node:http has them. */
export type RawHeaders = readonly string[];

const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  // What the proxy says itself: a far side must not be able to speak in its name.
  "doorward-egress",
]);

/** What a Connection header may never take off a message: what frames it, what it is about, and who asks. */
const END_TO_END = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "content-range",
  "authorization",
  "cookie",
  "expect",
  "range",
]);

const TRAILERS_NEVER = new Set([...HOP_BY_HOP, ...END_TO_END, "set-cookie", "location"]);

/** Headers by which many servers take another method or path than the request line has, or a second path beside it. */
const REDIRECTING: ReadonlySet<string> = new Set([
  ...[
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-forwarded-method",
  ],
  ...[
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-override-url",
    "x-forwarded-uri",
    "x-forwarded-path",
  ],
  ...["unencoded-url", "x-waws-unencoded-url", "request-uri"],
  ...["destination", "x-amz-copy-source", "x-goog-copy-source", "x-ms-copy-source", "x-oss-copy-source"],
]);

/** Whether a header could change what a rule with methods or paths is about; underscores are read as hyphens by many. */
export function redirects(name: string): boolean {
  return REDIRECTING.has(name.toLowerCase().replaceAll("_", "-"));
}

/** All values of one header, in order. */
export function valuesOf(headers: RawHeaders, name: string): string[] {
  const found: string[] = [];
  for (const [key, value] of pairs(headers)) if (key.toLowerCase() === name) found.push(value);
  return found;
}

/** The header names that a message's Connection headers list, in lower case. */
function connectionNames(headers: RawHeaders): string[] {
  return valuesOf(headers, "connection")
    .flatMap((value) => value.split(","))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}

/** The listed names that no hop may strip. */
export function protectedConnectionNames(headers: RawHeaders): string[] {
  return connectionNames(headers).filter((name) => END_TO_END.has(name));
}

/** Headers that go on to the next hop: without the ones of this hop, `Proxy-*` and the ones that Connection lists. */
export function endToEnd(headers: RawHeaders): string[] {
  const listed = new Set(connectionNames(headers));
  return filtered(
    headers,
    (name) => !HOP_BY_HOP.has(name) && !name.startsWith("proxy-") && !listed.has(name),
  );
}

/** Trailers that may follow a body: none that frames, routes or authenticates. */
export function safeTrailers(trailers: RawHeaders): string[] {
  return filtered(
    trailers,
    (name) => !TRAILERS_NEVER.has(name) && !redirects(name) && !name.startsWith("proxy-"),
  );
}

/** Headers without the given names (in lower case). */
export function without(headers: RawHeaders, names: readonly string[]): string[] {
  return filtered(headers, (name) => !names.includes(name));
}

/** Names and values as pairs. */
export function* pairs(headers: RawHeaders): Generator<[string, string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at] ?? "", headers[at + 1] ?? ""];
}

/** Roughly the bytes that a head took on the wire. */
export function headSize(headers: RawHeaders): number {
  let size = 64;
  for (const [name, value] of pairs(headers)) size += name.length + value.length + 4;
  return size;
}

function filtered(headers: RawHeaders, keep: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (const [name, value] of pairs(headers)) if (keep(name.toLowerCase())) kept.push(name, value);
  return kept;
}
