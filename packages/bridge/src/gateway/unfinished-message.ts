import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import type { WaitingBytes } from "@doorward/doors";
import type { WebSocket } from "ws";

/** How often a socket that is held back looks whether it may go on. */
const LOOK_MS = 50;
/** Bytes of a control frame beside what it carries: its head, and the mask that clients use. */
const CONTROL_HEAD = 6;

/** What a socket's unfinished message is counted against, and who is told when it takes too long. */
export interface UnfinishedOptions {
  readonly bytes: WaitingBytes;
  /** Milliseconds in which a message has to be whole. */
  readonly messageMs: number;
  readonly tooLong: (error: DoorwardError) => void;
}

/**
 * Counts what `ws` keeps of a message that is not whole yet. While the grant has as many bytes waiting as it may, the
 * socket is not read; a message that is not whole in its time is told of.
 */
export class UnfinishedMessage {
  readonly #socket: WebSocket;
  readonly #options: UnfinishedOptions;
  #counted = 0;
  /** What came in the moment in which too many bytes waited. */
  #owed = 0;
  #late: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  /** Counts from now on until the socket is closed. */
  static count(socket: WebSocket, wire: Duplex, options: UnfinishedOptions): void {
    new UnfinishedMessage(socket, options).#listen(wire);
  }

  private constructor(socket: WebSocket, options: UnfinishedOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  #listen(wire: Duplex): void {
    const socket = this.#socket;
    const received = (chunk: Buffer): void => this.#received(chunk.length);
    // Before ws sees a chunk, which tells of a whole message at once.
    wire.prependListener("data", received);
    socket.on("message", () => this.#finished());
    for (const control of ["ping", "pong"] as const)
      socket.on(control, (data: Buffer) => this.#control(CONTROL_HEAD + data.length));
    socket.once("close", () => {
      wire.removeListener("data", received);
      this.#finished();
    });
  }

  #received(bytes: number): void {
    this.#late ??= setTimeout(() => this.#inTime(), this.#options.messageMs);
    if (this.#owed === 0 && this.#options.bytes.take(bytes)) this.#counted += bytes;
    else this.#hold(bytes);
  }

  /** The time is over; that in which a door itself does not read the socket does not count. */
  #inTime(): void {
    const { messageMs, tooLong } = this.#options;
    this.#late = undefined;
    if (this.#owed > 0) tooLong(tooMany());
    else if (this.#socket.isPaused) this.#late = setTimeout(() => this.#inTime(), messageMs);
    else tooLong(tooSlow(messageMs));
  }

  #hold(bytes: number): void {
    this.#owed += bytes;
    this.#socket.pause();
    this.#look ??= setInterval(() => {
      if (!this.#options.bytes.take(this.#owed)) return;
      this.#counted += this.#owed;
      this.#goOn();
    }, LOOK_MS);
  }

  #goOn(): void {
    this.#owed = 0;
    if (this.#look === undefined) return;
    clearInterval(this.#look);
    this.#look = undefined;
    this.#socket.resume();
  }

  #control(bytes: number): void {
    const known = Math.min(bytes, this.#counted);
    this.#counted -= known;
    this.#options.bytes.give(known);
    if (this.#counted + this.#owed === 0) this.#finished();
  }

  #finished(): void {
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#options.bytes.give(this.#counted);
    this.#counted = 0;
    this.#goOn();
  }
}

function tooMany(): DoorwardError {
  return new DoorwardError({
    code: "RATE_LIMITED",
    message: "Cannot take message: too many bytes of this grant wait already",
  });
}

function tooSlow(ms: number): DoorwardError {
  return new DoorwardError({
    code: "TIMED_OUT",
    message: `Cannot take message: it was not whole after ${String(ms)} ms`,
  });
}
