import { DoorwardError } from "@doorward/contracts";
import type { AnswerMask, BodyMask } from "../../secrets/index.ts";

const [CONTINUED, LAST_DATA, FIRST_CONTROL, LAST_CONTROL] = [0, 2, 8, 10];
const LONGEST_CONTROL = 125;

/** What the first bytes of a frame say (RFC 6455 5.2). */
interface FrameHead {
  readonly opcode: number;
  readonly final: boolean;
  readonly length: number;
  /** Bytes that the head took. */
  readonly used: number;
}

/**
 * Takes secrets out of what a far side sends on a WebSocket: messages are looked through across their frames, and go on in
 * frames of the same content and length, as they come. EGRESS_ANSWER_REFUSED for what isn't plain frames: nothing of it goes on.
 */
export class FrameMask {
  readonly #messages: BodyMask;
  readonly #controls: BodyMask;
  #head: Buffer = Buffer.alloc(0);
  #frame: FrameHead | null = null;
  #left = 0;
  #control: Buffer[] = [];
  /** Opcode of the next frame of a message that goes on to the machine; null between messages. */
  #opcode: number | null = null;

  constructor(mask: AnswerMask) {
    this.#messages = mask.body();
    this.#controls = mask.body();
  }

  /** What may go on to the machine now that this came. */
  next(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    let rest: Buffer = chunk;
    while (rest.length > 0) {
      if (this.#frame === null) rest = this.#begin(rest);
      if (this.#frame === null) break;
      const taken = Math.min(rest.length, this.#left);
      this.#left -= taken;
      out.push(...this.#payload(this.#frame, rest.subarray(0, taken)));
      rest = rest.subarray(taken);
      if (this.#left === 0) this.#frame = null;
    }
    return Buffer.concat(out);
  }

  /** Reads a frame's head; what follows it. */
  #begin(bytes: Buffer): Buffer {
    const gathered = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    const head = readHead(gathered);
    this.#head = head === null ? gathered : Buffer.alloc(0);
    if (head === null) return Buffer.alloc(0);
    if (head.opcode < FIRST_CONTROL) {
      if ((head.opcode === CONTINUED) === (this.#opcode === null)) throw malformed("its messages overlap");
      this.#opcode ??= head.opcode;
    }
    this.#frame = head;
    this.#left = head.length;
    return gathered.subarray(head.used);
  }

  #payload({ opcode, final }: FrameHead, bytes: Buffer): Buffer[] {
    const over = this.#left === 0;
    if (opcode >= FIRST_CONTROL) {
      this.#control.push(bytes);
      if (!over) return [];
      const passed = this.#controls.next(Buffer.concat(this.#control));
      this.#control = [];
      return [frame(opcode, true, [passed, this.#controls.end()])];
    }
    const passed = [this.#messages.next(bytes)];
    const ends = over && final;
    if (ends) passed.push(this.#messages.end());
    if (!ends && passed.every(({ length }) => length === 0)) return [];
    const written = frame(this.#opcode ?? CONTINUED, ends, passed);
    this.#opcode = ends ? null : CONTINUED;
    return [written];
  }
}

function readHead(bytes: Buffer): FrameHead | null {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return null;
  const [opcode, final, short] = [first & 0x0f, first >= 0x80, second & 0x7f];
  if ((first & 0x70) !== 0) throw malformed("a frame is packed, or has an extension");
  if (second >= 0x80) throw malformed("a frame of the far side is scrambled");
  if (opcode > LAST_DATA && (opcode < FIRST_CONTROL || opcode > LAST_CONTROL))
    throw malformed("a frame is of an unknown kind");
  if (opcode >= FIRST_CONTROL && (!final || short > LONGEST_CONTROL))
    throw malformed("a control frame has no valid form");
  const used = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < used) return null;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : longLength(bytes);
  return { opcode, final, length, used };
}

function longLength(bytes: Buffer): number {
  const length = bytes.readBigUInt64BE(2);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("a frame is too long");
  return Number(length);
}

function frame(opcode: number, final: boolean, payload: readonly Buffer[]): Buffer {
  const length = payload.reduce((sum, part) => sum + part.length, 0);
  const first = (final ? 0x80 : 0) | opcode;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = first;
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, ...payload]);
}

function malformed(why: string): DoorwardError {
  return new DoorwardError({
    code: "EGRESS_ANSWER_REFUSED",
    message: `Cannot go on with a WebSocket that a secret was used for: ${why}`,
  });
}
