/** What a tunnel carries, as its first bytes show. */
export type TunnelKind = "tls" | "http" | "raw";

const HTTP = /^[a-z]{3,20}[ \t]+(?:\/|\*|http)/i;
const MAYBE_HTTP = /^(?:[a-z]{1,20}|[a-z]{3,20}[ \t]+h?t?t?)$/i;
const LOOKED_AT = 64;

/** Tells what a tunnel carries; null when its first bytes leave that open. A reader of HTTP skips empty lines in front. */
export function tunnelKind(bytes: Buffer, ended: boolean): TunnelKind | null {
  if (bytes[0] === 0x16) return "tls";
  const text = bytes
    .subarray(0, 4096)
    .toString("latin1")
    .replace(/^[\r\n]+/, "")
    .slice(0, LOOKED_AT);
  if (HTTP.test(text)) return "http";
  if (!ended && (text === "" || MAYBE_HTTP.test(text))) return bytes.length < 4096 ? null : "raw";
  return "raw";
}
