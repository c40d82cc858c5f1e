import { isIP } from "node:net";
import { DoorwardError } from "@doorward/contracts";

/** A host and a port as a program asked for them. */
export interface Authority {
  /** Lower-case ASCII name without a trailing dot, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const PARTS = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_.-]{1,254}))(?::([0-9]{1,5}))?$/;

/** Reads `host:port`; the port may be left out when there is a default. Refuses every other form (PROTOCOL_ERROR). */
export function readAuthority(text: string, defaultPort: number | null): Authority {
  const parts = PARTS.exec(text);
  if (parts === null) throw malformed(text, "it is not of the form host:port");
  const [, address, name, digits] = parts;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === null) throw malformed(text, "it has no port");
  if (port < 1 || port > 65_535 || digits?.startsWith("0") === true)
    throw malformed(text, "it has no valid port");
  if (address === undefined) return { host: readHost(name ?? ""), port };
  if (isIP(address) !== 6) throw malformed(text, "it is no IPv6 address");
  return { host: address.toLowerCase(), port };
}

/**
 * Reads a name in lower case without its trailing dot. Addresses, also the encoded forms that most resolvers take for one
 * (2130706433, 0x7f.1), pass as they were written: the gate judges and records them.
 */
export function readHost(text: string): string {
  const host = text.toLowerCase().replace(/\.$/, "");
  if (host.length <= 253 && host.split(".").every((label) => LABEL.test(label))) return host;
  throw malformed(text, "it is no host name");
}

/** The text of an authority as it stands in a Host header of the given scheme. */
export function authorityText(authority: Authority, scheme: "http" | "https"): string {
  const host = isIP(authority.host) === 6 ? `[${authority.host}]` : authority.host;
  return authority.port === (scheme === "http" ? 80 : 443) ? host : `${host}:${authority.port}`;
}

function malformed(text: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot reach ${JSON.stringify(text.slice(0, 300))}: ${why}`,
  });
}
