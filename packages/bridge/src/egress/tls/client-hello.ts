import { DoorwardError } from "@doorward/contracts";

/** What counts of a TLS hello: the server name that stands in it in the clear (with ECH that is the outer one). */
export interface ClientHello {
  /** Lower case, without a trailing dot; null when the hello names no server. */
  readonly serverName: string | null;
  /** How many bytes of the stream the hello took. */
  readonly bytes: number;
}

/** Longest hello that is read; post-quantum key shares make them some 2 kB. */
export const MAX_HELLO = 32 * 1024;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const MAX_RECORD = 16 * 1024;
/** Real hellos come in one record or a few; each is looked at again whenever a byte arrives. */
const MAX_RECORDS = 512;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/**
 * Reads a TLS ClientHello from the first bytes of a stream, across records: null when there are too few bytes yet,
 * PROTOCOL_ERROR when it is none or when it is not of the exact form (RFC 8446 4.1.2, RFC 6066 3).
 */
export function readClientHello(bytes: Buffer): ClientHello | null {
  const message = handshake(bytes);
  if (message === null) return null;
  const cursor = new Cursor(message.body);
  cursor.skip(2 + 32);
  cursor.skip(cursor.number(1));
  cursor.skip(cursor.number(2));
  cursor.skip(cursor.number(1));
  const serverName = cursor.left === 0 ? null : nameIn(cursor.block(2));
  cursor.end();
  return { serverName, bytes: message.taken };
}

interface Message {
  readonly body: Buffer;
  readonly taken: number;
}

function handshake(bytes: Buffer): Message | null {
  const fragments: Buffer[] = [];
  let gathered = 0;
  let at = 0;
  for (;;) {
    refuseOtherRecord(bytes, at);
    if (bytes.length < at + 5) return null;
    const size = bytes.readUInt16BE(at + 3);
    if (size === 0 || size > MAX_RECORD) throw malformed("a record has no valid length");
    if (bytes.length < at + 5 + size) return null;
    if (fragments.length === MAX_RECORDS) throw malformed("it is cut into too many records");
    fragments.push(bytes.subarray(at + 5, at + 5 + size));
    gathered += size;
    at += 5 + size;
    const message = complete(fragments, gathered);
    if (message !== null) return { body: message, taken: at };
  }
}

function refuseOtherRecord(bytes: Buffer, at: number): void {
  if (bytes.length > at && bytes[at] !== HANDSHAKE) throw malformed("it is not a TLS handshake");
  if (bytes.length > at + 1 && bytes[at + 1] !== 3) throw malformed("it is not of TLS 1");
}

function complete(fragments: readonly Buffer[], gathered: number): Buffer | null {
  // No record is empty, so four of them hold the message's head.
  const head = Buffer.concat(fragments.slice(0, 4), Math.min(gathered, 4));
  if (head[0] !== CLIENT_HELLO) throw malformed("the first message is no hello");
  if (gathered < 4) return null;
  const size = head.readUIntBE(1, 3);
  if (size > MAX_HELLO) throw malformed("it is too long");
  if (gathered < 4 + size) return null;
  if (gathered > 4 + size) throw malformed("more follows it in the same record");
  return Buffer.concat(fragments, gathered).subarray(4);
}

function nameIn(extensions: Cursor): string | null {
  let name: string | null = null;
  const seen = new Set<number>();
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const body = extensions.block(2);
    if (seen.has(type)) throw malformed("an extension stands in it twice");
    seen.add(type);
    if (type === SERVER_NAME) name = serverName(body);
  }
  return name;
}

function serverName(extension: Cursor): string {
  const list = extension.block(2);
  extension.end();
  if (list.number(1) !== HOST_NAME) throw malformed("its server name is of an unknown kind");
  const name = list.bytes(list.number(2)).toString("latin1");
  list.end();
  if (!/^[A-Za-z0-9_.-]{1,254}$/.test(name)) throw malformed("its server name is no host name");
  return name.toLowerCase().replace(/\.$/, "");
}

/** Reads big-endian fields; anything that runs over its end is malformed. */
class Cursor {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get left(): number {
    return this.#data.length - this.#at;
  }

  bytes(count: number): Buffer {
    if (count > this.left) throw malformed("a field runs over its end");
    this.#at += count;
    return this.#data.subarray(this.#at - count, this.#at);
  }

  skip(count: number): void {
    this.bytes(count);
  }

  number(size: 1 | 2): number {
    return this.bytes(size).readUIntBE(0, size);
  }

  block(size: 1 | 2): Cursor {
    return new Cursor(this.bytes(this.number(size)));
  }

  end(): void {
    if (this.left > 0) throw malformed("a field is longer than what stands in it");
  }
}

function malformed(why: string): DoorwardError {
  return new DoorwardError({ code: "PROTOCOL_ERROR", message: `Cannot read the TLS hello: ${why}` });
}
