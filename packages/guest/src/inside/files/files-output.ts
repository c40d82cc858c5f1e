import type { Socket } from "node:net";
import { FRAME_HEADER_BYTES, encodeFrame, encodeMessage, writeFrameHeader } from "../../frame.ts";
import { FILES_FRAME, number32, type FilesAnswer } from "../../files-protocol.ts";

const CREDIT_STEP_BYTES = 131_072;

/** Writes what a file stream sends, and holds back while the bridge does not read. */
export class FilesOutput {
  readonly #socket: Socket;
  #owed = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("drain", () => socket.resume());
  }

  answer(answer: FilesAnswer): void {
    this.#write(encodeMessage(FILES_FRAME.answer, answer));
  }

  /** Bytes of a request; calls back once they are handed to the kernel, or never will be. */
  bytes(id: number, bytes: Buffer, done?: () => void): void {
    const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    writeFrameHeader(header, FILES_FRAME.bytes, bytes.length);
    this.#write(encodeFrame(FILES_FRAME.at, number32(id)));
    this.#write(header);
    this.#write(bytes, done);
  }

  /** Gives room for more bytes of changes, in steps. */
  credit(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < CREDIT_STEP_BYTES) return;
    this.#write(encodeFrame(FILES_FRAME.credit, number32(this.#owed)));
    this.#owed = 0;
  }

  /** Whoever does not read his answers asks for no more of them. */
  #write(frame: Buffer, done?: () => void): void {
    if (this.#socket.destroyed) done?.();
    else if (!this.#socket.write(frame, done)) this.#socket.pause();
  }
}
