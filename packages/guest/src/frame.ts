import { DoorwardError } from "@doorward/contracts";

/** Bytes before a frame's payload: its type, and its payload's length as 32 bits, big-endian. */
export const FRAME_HEADER_BYTES = 5;

/** Largest payload of a frame that carries bytes of a terminal or a command. */
export const MAX_DATA_BYTES = 65_536;

/** What a receiver accepts of one frame type; a `streamed` payload is handed on as it arrives, without waiting for its end. */
export interface FrameRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly streamed: boolean;
}

/** The frame types that a receiver accepts at all. */
export type FrameRules = ReadonlyMap<number, FrameRule>;

/** Receives frames; the payload is a view into the chunk it came in. */
export type FrameSink = (type: number, payload: Buffer) => void;

/** Writes a frame's header into `target` at `at`. */
export function writeFrameHeader(target: Buffer, type: number, length: number, at = 0): void {
  target.writeUInt8(type, at);
  target.writeUInt32BE(length, at + 1);
}

/** One frame with its payload. */
export function encodeFrame(type: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(frame, type, payload.length);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** One frame whose payload is JSON. */
export function encodeMessage(type: number, message: unknown): Buffer {
  return encodeFrame(type, Buffer.from(JSON.stringify(message)));
}

/** Parses a frame's payload as JSON; the shape is still unknown. */
export function decodeMessage(payload: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(payload.toString("utf8"));
    return value;
  } catch {
    throw refused("its payload is not JSON");
  }
}

/**
 * Takes a byte stream apart into frames. It holds at most one message frame of the allowed size, whatever the peer sends,
 * and throws GUEST_PROTOCOL at the first byte that breaks the rules; after that it must not be used again.
 */
export class FrameDecoder {
  readonly #rules: FrameRules;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #rule: FrameRule | undefined;
  #type = 0;
  #left = 0;
  #parts: Buffer[] = [];

  constructor(rules: FrameRules) {
    this.#rules = rules;
  }

  /** Takes the next bytes; streamed payloads of one type that follow each other are handed on together. */
  push(chunk: Buffer, sink: FrameSink): void {
    const run = new StreamedRun(sink);
    let at = 0;
    while (at < chunk.length) {
      if (this.#rule === undefined) {
        at = this.#readHeader(chunk, at);
        if (this.#completesEmpty()) this.#finish(run);
        continue;
      }
      const end = Math.min(chunk.length, at + this.#left);
      this.#take(chunk.subarray(at, end), run);
      at = end;
    }
    run.flush();
  }

  #readHeader(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + FRAME_HEADER_BYTES - this.#headerBytes);
    chunk.copy(this.#header, this.#headerBytes, at, end);
    this.#headerBytes += end - at;
    if (this.#headerBytes === FRAME_HEADER_BYTES) this.#beginFrame();
    return end;
  }

  #beginFrame(): void {
    const type = this.#header.readUInt8(0);
    const length = this.#header.readUInt32BE(1);
    const rule = this.#rules.get(type);
    if (rule === undefined) throw refused(`type "0x${type.toString(16)}" is not allowed here`);
    if (length < rule.min || length > rule.max) {
      throw refused(
        `"${rule.name}" of ${String(length)} bytes is not between ${String(rule.min)} and ${String(rule.max)}`,
      );
    }
    this.#headerBytes = 0;
    this.#rule = rule;
    this.#type = type;
    this.#left = length;
  }

  #completesEmpty(): boolean {
    return this.#rule !== undefined && this.#left === 0;
  }

  #take(part: Buffer, run: StreamedRun): void {
    this.#left -= part.length;
    if (this.#rule?.streamed === true) run.add(this.#type, part);
    else this.#parts.push(part);
    if (this.#left > 0) return;
    this.#finish(run);
  }

  #finish(run: StreamedRun): void {
    if (this.#rule?.streamed === false) run.message(this.#type, joined(this.#parts));
    this.#parts = [];
    this.#rule = undefined;
  }
}

/** Gathers streamed payloads of one type within one chunk: a peer that sends tiny frames must not cost a call for each. */
class StreamedRun {
  readonly #sink: FrameSink;
  #type = 0;
  #parts: Buffer[] = [];

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  add(type: number, part: Buffer): void {
    if (type !== this.#type) this.flush();
    this.#type = type;
    this.#parts.push(part);
  }

  message(type: number, payload: Buffer): void {
    this.flush();
    this.#sink(type, payload);
  }

  flush(): void {
    if (this.#parts.length === 0) return;
    const parts = this.#parts;
    this.#parts = [];
    this.#sink(this.#type, joined(parts));
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : Buffer.concat(parts);
}

function refused(why: string): DoorwardError {
  return new DoorwardError({ code: "GUEST_PROTOCOL", message: `Cannot read frame: ${why}` });
}
