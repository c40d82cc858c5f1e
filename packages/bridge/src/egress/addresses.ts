import { BlockList, isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { domainToASCII, domainToUnicode } from "node:url";
import { LOCAL_SUFFIXES, METADATA_ADDRESSES, SPECIAL_RANGES } from "./special-addresses.ts";

/** A host as it was asked for: a name in its one normal form, an address in whatever notation, or neither. */
export type AskedHost =
  | { readonly kind: "name"; readonly name: string; readonly local: boolean }
  | {
      readonly kind: "address";
      /** In its one normal form; null when its notation has none that we would dial, as with a zone. */
      readonly address: string | null;
      /** Whether it was written in that form. */
      readonly plain: boolean;
    }
  | { readonly kind: "invalid"; readonly why: string };

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Reads a host from the wire. Whatever could mean an address to any resolver is one here, so that no rule for names covers it. */
export function readHost(text: string): AskedHost {
  if (text.length === 0 || text.length > 300) return invalid("it is empty or too long");
  if (text.includes(":") || text.startsWith("[")) return readIpv6(text);
  const ascii = toAscii(text);
  if (ascii === null)
    return invalid("it has characters that a host name can't have, or that look like others");
  const name = ascii.endsWith(".") ? ascii.slice(0, -1) : ascii;
  const labels = name.split(".");
  if (/^(?:[0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "")) return readIpv4(text, name);
  if (name.length > 253 || !labels.every((label) => LABEL.test(label))) return invalid("it is no host name");
  if (!labels.every(readablePunycode)) return invalid("its punycode is not valid");
  return { kind: "name", name, local: isLocalName(name) };
}

/** Whether a name never means a host of the public internet: one label alone, or under a suffix for local use. */
export function isLocalName(name: string): boolean {
  return !name.includes(".") || LOCAL_SUFFIXES.includes(name.slice(name.lastIndexOf(".") + 1));
}

/** Which special range an address is in, in words; null for one of the public internet. Anything but an address is special. */
export function specialRange(address: string): string | null {
  const family = familyOf(address);
  if (family === null) return "not an address";
  if (METADATA.check(address, family)) return "cloud metadata";
  const found = RANGES.find((range) => range.family === family && range.list.check(address, family));
  if (found !== undefined) return found.name;
  if (family === "ipv6" && !GLOBAL_UNICAST.check(address, family)) return "not global unicast";
  return isOwnAddress(address) ? "this host" : null;
}

/** Whether an address lies in one of these ranges; metadata addresses only in a range of exactly that address. */
export function inRanges(address: string, ranges: readonly string[]): boolean {
  const family = familyOf(address);
  // A mapped address would be judged as the IPv4 one and dialled as something else.
  if (family === null || (family === "ipv6" && isEmbedded(address))) return false;
  const metadata = METADATA.check(address, family);
  return ranges.some((range) => {
    const parsed = parseRange(range);
    if (parsed?.family !== family || (metadata && parsed.prefix < (family === "ipv4" ? 32 : 128)))
      return false;
    return blockList([range]).check(address, family);
  });
}

/** Why a range can't stand in a rule; null when it can. One that covers far more than a network of somebody's own can't. */
export function rangeProblem(range: string): string | null {
  const parsed = parseRange(range);
  if (parsed === null) return `"${range}" is not a range of addresses`;
  const least = parsed.family === "ipv4" ? 8 : 7;
  return parsed.prefix < least ? `"${range}" is wider than /${least}` : null;
}

interface Range {
  readonly network: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

function parseRange(range: string): Range | null {
  const [network = "", bits = "", ...more] = range.split("/");
  const family = familyOf(network);
  if (family === null || more.length > 0 || !/^[0-9]{1,3}$/.test(bits)) return null;
  const prefix = Number(bits);
  return prefix > (family === "ipv4" ? 32 : 128) ? null : { network, prefix, family };
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const parsed = parseRange(range);
    if (parsed !== null) list.addSubnet(parsed.network, parsed.prefix, parsed.family);
  }
  return list;
}

// A list finds IPv4 addresses also in their IPv4-mapped form and the other way round; hence the family beside it.
const RANGES = SPECIAL_RANGES.map(([range, name]) => {
  return { name, family: parseRange(range)?.family, list: blockList([range]) };
});
const METADATA = blockList(METADATA_ADDRESSES.map((each) => `${each}/${isIPv4(each) ? 32 : 128}`));
const GLOBAL_UNICAST = blockList(["2000::/3"]);
const EMBEDDED = blockList(["::ffff:0:0/96", "::/96", "::ffff:0:0:0/96"]);

/** Whether an IPv6 address stands for an IPv4 one. Loopback lies among them and is none. */
function isEmbedded(address: string): boolean {
  return EMBEDDED.check(address, "ipv6") && normalIpv6(address) !== "::1";
}

function familyOf(address: string): "ipv4" | "ipv6" | null {
  if (isIPv4(address)) return "ipv4";
  return isIPv6(address) && !address.includes("%") ? "ipv6" : null;
}

/** What this host itself answers on under a public address is as internal as its loopback. */
function isOwnAddress(address: string): boolean {
  const normal = normalIpv6(address) ?? address;
  return Object.values(networkInterfaces()).some((all) =>
    all?.some((each) => (normalIpv6(each.address) ?? each.address) === normal),
  );
}

function readIpv6(text: string): AskedHost {
  const bare = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  const normal = normalIpv6(bare);
  if (normal !== null) return { kind: "address", address: normal, plain: normal === bare };
  // With a zone, or too broken to name an address: refused as one all the same.
  return { kind: "address", address: null, plain: false };
}

function normalIpv6(text: string): string | null {
  return isIPv6(text) && !text.includes("%") ? new URL(`http://[${text}]/`).hostname.slice(1, -1) : null;
}

function readIpv4(text: string, name: string): AskedHost {
  try {
    const address = new URL(`http://${name}/`).hostname;
    return { kind: "address", address: isIPv4(address) ? address : null, plain: address === text };
  } catch {
    return { kind: "address", address: null, plain: false };
  }
}

/** A name in ASCII and lower case; null when it has characters that are mapped to others on the way there. */
function toAscii(text: string): string | null {
  if (/^[\u0000-\u007f]*$/.test(text)) return /^[\w.-]+$/.test(text) ? text.toLowerCase() : null;
  const ascii = domainToASCII(text);
  if (ascii === "" || !/^[\w.-]+$/.test(ascii)) return null;
  // The Kelvin sign and its like are letters of ASCII once they are normalised.
  if (text.normalize("NFC") !== text) return null;
  return domainToUnicode(ascii) === text.toLowerCase() ? ascii : null;
}

function readablePunycode(label: string): boolean {
  if (!label.startsWith("xn--")) return true;
  return domainToASCII(label) === label && domainToASCII(domainToUnicode(label)) === label;
}

function invalid(why: string): AskedHost {
  return { kind: "invalid", why };
}
