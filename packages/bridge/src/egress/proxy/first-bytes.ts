/** What a tunnel carries, as its first bytes show. */
export type TunnelKind = "tls" | "http" | "raw";

const PLAIN_REQUEST = /^[a-z]{3,20}[ \t]+(?:\/|\*|http)/i;
/** The begin of a line whose first word is a token of HTTP, as far as it is there. */
const LINE = /^[!#$%&'*+\-.^`|~\w]+(?:[ \t][\t\x20-\x7e\x80-\xff]*)?(\r?\n)?/;
const REQUEST = /^\S+[ \t]+(?:\/|\*|https?:|.*[ \t]HTTP\/[0-9])/i;
/** No server reads a longer request line; one that goes on like one is judged as one. */
const LOOKED_AT = 16_384;

/**
 * Tells what a tunnel carries; null when its first bytes leave that open. Servers skip empty lines and blanks in front of a
 * request, and many answer a method that nobody has heard of and go on: whatever could be a request line is one.
 */
export function tunnelKind(bytes: Buffer, ended: boolean): TunnelKind | null {
  if (bytes[0] === 0x16) return "tls";
  const text = bytes
    .subarray(0, LOOKED_AT)
    .toString("latin1")
    .replace(/^[\r\n\t ]+/, "");
  if (PLAIN_REQUEST.test(text.slice(0, 64))) return "http";
  const whole = ended || bytes.length >= LOOKED_AT;
  if (text === "") return whole ? "raw" : null;
  const [line, end] = LINE.exec(text) ?? [];
  if (line === undefined) return "raw";
  // Something that no request line holds ends it before its time, as in git's own protocol.
  if (end === undefined && line.length < text.replace(/\r$/, "").length) return "raw";
  if (end === undefined && !whole) return null;
  return REQUEST.test(line) || (end === undefined && !ended) ? "http" : "raw";
}
