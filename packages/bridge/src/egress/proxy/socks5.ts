import type { Duplex } from "node:stream";
import { DenialError, DoorwardError } from "@doorward/contracts";
import { addressText } from "../tls/address-bytes.ts";
import { readHost, type Authority } from "./authority.ts";
import type { FrontLimits } from "./limits.ts";
import { readUntil } from "./read-until.ts";

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const NO_METHOD = 0xff;
const CONNECT = 1;
const FAILED = 1;
const NOT_ALLOWED = 2;
const HOST_UNREACHABLE = 4;
const COMMAND_UNSUPPORTED = 7;
const TYPE_UNSUPPORTED = 8;
const MAX_REQUEST = 4 + 1 + 255 + 2;

interface Step<T> {
  readonly value: T;
  readonly used: number;
}

/** Reads the two steps of SOCKS5 (RFC 1928) up to the target: CONNECT alone, without authentication. */
export async function readSocksTarget(
  stream: Duplex,
  limits: FrontLimits,
  signal: AbortSignal,
): Promise<Authority> {
  const wait = { ms: limits.headMs, signal, what: "the SOCKS5 request" };
  const methods = await readUntil(stream, { ...wait, take: greeting, maxBytes: 257 });
  if (!methods.includes(NO_AUTHENTICATION)) {
    stream.end(Buffer.from([VERSION, NO_METHOD]));
    throw malformed("it offers no method without authentication");
  }
  stream.write(Buffer.from([VERSION, NO_AUTHENTICATION]));
  try {
    return await readUntil(stream, { ...wait, take: request, maxBytes: MAX_REQUEST });
  } catch (error) {
    if (stream.writable) stream.end(reply(replyCode(error)));
    throw error;
  }
}

/** Tells the program that its tunnel stands. */
export function acceptSocks(stream: Duplex): void {
  stream.write(reply(0));
}

/** Tells the program why there is no tunnel, as far as SOCKS5 has a code for it. */
export function refuseSocks(stream: Duplex, error: DoorwardError): void {
  stream.end(reply(replyCode(error)));
}

class SocksRefusal extends DoorwardError {
  readonly reply: number;

  constructor(reply: number, why: string) {
    super({ code: "PROTOCOL_ERROR", message: `Cannot read the SOCKS5 request: ${why}` });
    this.reply = reply;
  }
}

function greeting(bytes: Buffer): Step<readonly number[]> | null {
  if (bytes.length > 0 && bytes[0] !== VERSION) throw malformed("its version is unknown");
  const count = bytes[1];
  if (count === undefined) return null;
  if (count === 0) throw malformed("it offers no method");
  return bytes.length < 2 + count ? null : { value: [...bytes.subarray(2, 2 + count)], used: 2 + count };
}

function request(bytes: Buffer): Step<Authority> | null {
  const [version, command, reserved, type] = bytes;
  if (version !== undefined && version !== VERSION) throw malformed("its version is unknown");
  if (command !== undefined && command !== CONNECT) {
    throw new SocksRefusal(COMMAND_UNSUPPORTED, "only CONNECT is served");
  }
  if (reserved !== undefined && reserved !== 0) throw malformed("its reserved byte is not zero");
  if (type === undefined) return null;
  const address = addressField(bytes, type);
  if (address === null || bytes.length < address.end + 2) return null;
  const port = bytes.readUInt16BE(address.end);
  if (port === 0) throw malformed("it has no valid port");
  return { value: { host: address.host(), port }, used: address.end + 2 };
}

interface AddressField {
  readonly end: number;
  host(): string;
}

function addressField(bytes: Buffer, type: number): AddressField | null {
  if (type === 1) return { end: 8, host: () => addressText(bytes.subarray(4, 8)) };
  if (type === 4) return { end: 20, host: () => addressText(bytes.subarray(4, 20)) };
  if (type !== 3) throw new SocksRefusal(TYPE_UNSUPPORTED, "its address type is unknown");
  const length = bytes[4];
  if (length === undefined) return null;
  if (length === 0) throw malformed("its name is empty");
  const end = 5 + length;
  return { end, host: () => readHost(bytes.subarray(5, end).toString("latin1")) };
}

function replyCode(error: unknown): number {
  if (error instanceof SocksRefusal) return error.reply;
  if (error instanceof DenialError) return NOT_ALLOWED;
  if (!(error instanceof DoorwardError)) return FAILED;
  if (error.code === "EGRESS_UNREACHABLE" || error.code === "EGRESS_UNRESOLVED") return HOST_UNREACHABLE;
  return error.entry.status === 403 ? NOT_ALLOWED : FAILED;
}

function reply(code: number): Buffer {
  return Buffer.from([VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]);
}

function malformed(why: string): SocksRefusal {
  return new SocksRefusal(FAILED, why);
}
