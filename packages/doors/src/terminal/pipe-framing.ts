import { isUtf8 } from "node:buffer";
import { DoorwardError, MAX_PIPE_MESSAGE_BYTES, type PipeQuery } from "@doorward/contracts";
import { outOfTurn } from "./protocol.ts";

const NEWLINE = 10;
const FIRST_ROOM_BYTES = 4096;

/** Takes the bytes that a program wrote apart into lines, without their ends; a line that is too long is refused. */
export class LineSplitter {
  /** One buffer that grows: a line that comes byte by byte costs no more than one that comes at once. */
  #line = Buffer.alloc(0);
  #length = 0;

  /** Adds bytes; answers the lines that became whole. */
  push(bytes: Buffer): readonly Buffer[] {
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      this.#hold(bytes.subarray(from, at));
      lines.push(this.take());
      from = at + 1;
    }
    this.#hold(bytes.subarray(from));
    return lines;
  }

  /** Answers and forgets what is there of a line that has no end yet. */
  take(): Buffer {
    const line = this.#line.subarray(0, this.#length);
    this.#line = Buffer.alloc(0);
    this.#length = 0;
    return line;
  }

  #hold(part: Buffer): void {
    const length = this.#length + part.length;
    if (length > MAX_PIPE_MESSAGE_BYTES) throw tooLong();
    if (length > this.#line.length) this.#grow(length);
    part.copy(this.#line, this.#length);
    this.#length = length;
  }

  #grow(length: number): void {
    const grown = Buffer.allocUnsafe(Math.max(length, this.#line.length * 2, FIRST_ROOM_BYTES));
    this.#line.copy(grown, 0, 0, this.#length);
    this.#line = grown;
  }
}

/** The bytes of stdin that a client's message stands for. */
export function stdinOf(framing: PipeQuery["framing"], data: Buffer, isBinary: boolean): Buffer {
  if (framing === "bytes") {
    if (!isBinary) throw outOfTurn("text", `the pipe was opened with framing "bytes"`);
    return data;
  }
  if (isBinary) throw outOfTurn("bytes", `the pipe was opened with framing "lines"`);
  if (data.includes(NEWLINE)) throw outOfTurn("text", "a message is one line");
  return Buffer.concat([data, Buffer.of(NEWLINE)]);
}

/** Refuses a line that a text message can't carry. */
export function guardText(line: Buffer): void {
  if (isUtf8(line)) return;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: "Cannot carry a line of the program: it is not UTF-8",
    hint: "Open the pipe with framing=bytes",
  });
}

function tooLong(): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot carry a line of the program: it is over ${String(MAX_PIPE_MESSAGE_BYTES)} bytes`,
    hint: "Open the pipe with framing=bytes",
  });
}
