import { DoorwardError } from "../errors.ts";

/** First byte of every binary message: what the rest is. */
export const WIRE_KIND = { output: 0x01, input: 0x02, stdin: 0x11, stdout: 0x12, stderr: 0x13 } as const;

/** One of the values of {@link WIRE_KIND}. */
export type WireKind = (typeof WIRE_KIND)[keyof typeof WIRE_KIND];

/** Bytes before the payload of an output message: kind and a big-endian 64-bit offset. */
export const OUTPUT_HEADER_BYTES = 9;

/** A terminal's output taken apart: absolute position of the first byte, and the bytes (a view, not a copy). */
export interface OutputChunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const TWO_32 = 4_294_967_296;

/** Puts a terminal's output into one message: kind 0x01, 8 bytes of offset, the bytes. */
export function encodeOutput(offset: number, bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(OUTPUT_HEADER_BYTES + bytes.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, WIRE_KIND.output);
  view.setUint32(1, Math.floor(offset / TWO_32));
  view.setUint32(5, offset % TWO_32);
  message.set(bytes, OUTPUT_HEADER_BYTES);
  return message;
}

/** Takes a terminal's output message apart; anything else is a PROTOCOL_ERROR. */
export function decodeOutput(message: Uint8Array): OutputChunk {
  if (message.length <= OUTPUT_HEADER_BYTES || message[0] !== WIRE_KIND.output) {
    throw malformed("output", message);
  }
  const view = new DataView(message.buffer, message.byteOffset, OUTPUT_HEADER_BYTES);
  const offset = view.getUint32(1) * TWO_32 + view.getUint32(5);
  if (!Number.isSafeInteger(offset)) throw malformed("output", message);
  return { offset, bytes: message.subarray(OUTPUT_HEADER_BYTES) };
}

/** Puts bytes without an offset into one message: the kind, then the bytes. */
export function encodeBytes(kind: WireKind, bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(1 + bytes.length);
  message[0] = kind;
  message.set(bytes, 1);
  return message;
}

/** Takes a message of one of the named kinds apart; anything else is a PROTOCOL_ERROR. */
export function decodeBytes<Kind extends WireKind>(
  message: Uint8Array,
  kinds: readonly Kind[],
): { readonly kind: Kind; readonly bytes: Uint8Array } {
  const kind = kinds.find((candidate) => candidate === message[0]);
  if (kind === undefined || message.length < 2) throw malformed("binary", message);
  return { kind, bytes: message.subarray(1) };
}

function malformed(what: string, message: Uint8Array): DoorwardError {
  return new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot read ${what} message: kind "${String(message[0] ?? "none")}" with ${String(message.length)} bytes is not allowed here`,
  });
}
