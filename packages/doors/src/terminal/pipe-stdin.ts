import type { PipeQuery } from "@doorward/contracts";
import type { GuestCommand } from "@doorward/guest";
import type { RawData, WebSocket } from "ws";
import { stdinOf } from "./pipe-framing.ts";

/** Bytes of stdin that may wait for the program before the client is held back. */
const HIGH_WATER_BYTES = 1_048_576;

/** Whom a pipe's stdin goes to. */
interface Reader {
  readonly command: GuestCommand;
  /** Told of every byte that went on its way. */
  wrote(bytes: number): void;
  fail(thrown: unknown): void;
}

interface Message {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** Carries a client's messages to a program within its credit; what comes before the program runs waits for it. */
export class PipeStdin {
  readonly #socket: WebSocket;
  readonly #framing: PipeQuery["framing"];
  readonly #early: Message[] = [];
  #reader: Reader | undefined;
  #waiting: Buffer[] = [];
  #held = 0;
  #room = 0;
  readonly #listener = (raw: RawData, isBinary: boolean): void =>
    this.#received({ data: bufferOf(raw), isBinary });

  /** Listens at once. */
  constructor(socket: WebSocket, framing: PipeQuery["framing"]) {
    this.#socket = socket;
    this.#framing = framing;
    socket.on("message", this.#listener);
  }

  /** Hands everything to a program. */
  begin(reader: Reader): void {
    this.#reader = reader;
    for (const message of this.#early.splice(0)) this.#take(message, reader);
    this.credit(reader.command.started.stdinWindow);
  }

  /** Nobody reads any more: what still comes is dropped, so that the client's answer to the close is seen behind it. */
  end(): void {
    this.#socket.off("message", this.#listener);
    this.#waiting = [];
    this.#held = 0;
    if (this.#socket.isPaused) this.#socket.resume();
  }

  /** So many more bytes may be sent. */
  credit(bytes: number): void {
    this.#room += bytes;
    this.#flush();
  }

  #received(message: Message): void {
    if (this.#reader === undefined) this.#early.push(message);
    else this.#take(message, this.#reader);
    this.#flush();
  }

  #take({ data, isBinary }: Message, reader: Reader): void {
    try {
      const bytes = stdinOf(this.#framing, data, isBinary);
      this.#waiting.push(bytes);
      this.#held += bytes.length;
    } catch (thrown) {
      reader.fail(thrown);
    }
  }

  #flush(): void {
    while (this.#room > 0 && this.#send()) continue;
    const full = this.#held > HIGH_WATER_BYTES || this.#reader === undefined;
    if (full) this.#socket.pause();
    else if (this.#socket.isPaused) this.#socket.resume();
  }

  /** Sends what fits of the oldest bytes; answers whether there were any. */
  #send(): boolean {
    const [next] = this.#waiting;
    if (next === undefined || this.#reader === undefined) return false;
    const part = next.subarray(0, this.#room);
    if (part.length === next.length) this.#waiting.shift();
    else this.#waiting[0] = next.subarray(part.length);
    this.#held -= part.length;
    this.#room -= part.length;
    this.#reader.wrote(part.length);
    this.#reader.command.stdin(part);
    return true;
  }
}

function bufferOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
