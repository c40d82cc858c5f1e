import type { Socket } from "node:net";
import { FRAME_HEADER_BYTES, encodeFrame, encodeMessage, writeFrameHeader } from "../../frame.ts";
import { FILES_FRAME, number32, type FilesAnswer } from "../../files-protocol.ts";

const CREDIT_STEP_BYTES = 131_072;
/** Bytes that may wait for the bridge before parts of files do. */
const HIGH_BYTES = 1_048_576;

/** Writes what a file stream sends, and holds back while the bridge does not read. */
export class FilesOutput {
  readonly #socket: Socket;
  readonly #waiting: (() => void)[] = [];
  #owed = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("drain", () => this.#drained());
    socket.once("close", () => this.#drained());
  }

  answer(answer: FilesAnswer): void {
    this.#write(encodeMessage(FILES_FRAME.answer, answer));
  }

  /** Bytes of a request. The answers of one turn leave together. */
  bytes(id: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    writeFrameHeader(header, FILES_FRAME.bytes, bytes.length);
    this.#write(encodeFrame(FILES_FRAME.at, number32(id)));
    this.#write(header);
    this.#write(bytes);
  }

  /** Waits until the bridge has read most of what was written, or is gone. */
  async room(): Promise<void> {
    if (this.#socket.destroyed || this.#socket.writableLength < HIGH_BYTES) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Gives room for more bytes of changes, in steps. */
  credit(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < CREDIT_STEP_BYTES) return;
    this.#write(encodeFrame(FILES_FRAME.credit, number32(this.#owed)));
    this.#owed = 0;
  }

  #drained(): void {
    this.#socket.resume();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Whoever does not read his answers asks for no more of them. */
  #write(frame: Buffer): void {
    if (this.#socket.destroyed || this.#socket.write(frame)) return;
    this.#socket.pause();
  }
}
