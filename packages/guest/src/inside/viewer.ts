import type { Socket } from "node:net";
import type { TerminalRole } from "@doorward/contracts";
import { FRAME_HEADER_BYTES, MAX_DATA_BYTES, encodeMessage, writeFrameHeader } from "../frame.ts";
import { FRAME, type RoleChange, type Size } from "../protocol.ts";
import type { ScrollbackRing } from "./scrollback-ring.ts";

/** From this much waiting output on, a frame is sent at once even in the middle of a flood. */
const FULL_FRAME_BYTES = 32_768;
/** In a flood, smaller pieces are gathered this long. */
const GATHER_MS = 1;
const SMALL_BYTES = 4000;

/** What a viewer needs of its terminal. */
export interface ViewedTerminal {
  readonly ring: ScrollbackRing;
  /** The viewer sent everything there is. */
  caughtUp(viewer: Viewer): void;
  /** The viewer's position moved. */
  advanced(viewer: Viewer): void;
}

/** One attached stream: a position in the ring, moved on as fast as its socket takes bytes, one write at a time. */
export class Viewer {
  readonly id: string;
  readonly mayControl: boolean;
  role: TerminalRole = "observer";
  size: Size | null;
  /** Output was overwritten before this viewer got it, so what it shows is incomplete. */
  overtaken = false;
  readonly #socket: Socket;
  readonly #terminal: ViewedTerminal;
  #frame: Buffer | undefined;
  #cursor: number;
  #sending = false;
  #begun = false;
  #timer: NodeJS.Timeout | undefined;
  #lastSent = 0;
  #lastBytes = 0;

  constructor(init: {
    readonly id: string;
    readonly mayControl: boolean;
    readonly size: Size | null;
    readonly cursor: number;
    readonly socket: Socket;
    readonly terminal: ViewedTerminal;
  }) {
    this.id = init.id;
    this.mayControl = init.mayControl;
    this.size = init.size;
    this.#cursor = init.cursor;
    this.#socket = init.socket;
    this.#terminal = init.terminal;
  }

  /** Position of the next byte to send. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Sends a message frame between output frames. */
  send(type: number, message: unknown): void {
    if (!this.#socket.destroyed) this.#socket.write(encodeMessage(type, message));
  }

  /** The answer to its request was sent: from now on it hears of changes and gets output. */
  begin(): void {
    this.#begun = true;
    this.wake();
  }

  /** Tells who controls. */
  announceRole(role: RoleChange): void {
    if (this.#begun) this.send(FRAME.role, role);
  }

  /** Tells the terminal's size. */
  announceSize(size: Size): void {
    if (this.#begun) this.send(FRAME.resize, size);
  }

  /** Ends the stream after everything that was sent. */
  end(): void {
    this.stop();
    this.#socket.end();
  }

  /** There is output: sends it now, or a moment later when a flood would make many small frames of it. */
  wake(): void {
    if (!this.#begun || this.#sending || this.#timer !== undefined) return;
    const waiting = this.#terminal.ring.head - this.#cursor;
    const flooding = this.#lastBytes >= SMALL_BYTES && performance.now() - this.#lastSent < GATHER_MS;
    if (waiting >= FULL_FRAME_BYTES || !flooding) this.#pump();
    else this.#timer = setTimeout(() => this.#gathered(), GATHER_MS);
  }

  /** Stops sending; the stream's socket is its owner's. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#sending = true;
  }

  #gathered(): void {
    this.#timer = undefined;
    if (!this.#sending) this.#pump();
  }

  #pump(): void {
    const { ring } = this.#terminal;
    this.#skipLost(ring);
    if (this.#cursor === ring.head) {
      this.#terminal.caughtUp(this);
      return;
    }
    this.#frame ??= Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + MAX_DATA_BYTES);
    const length = ring.copy(this.#cursor, this.#frame, FRAME_HEADER_BYTES);
    writeFrameHeader(this.#frame, FRAME.output, length);
    this.#write(this.#frame.subarray(0, FRAME_HEADER_BYTES + length), length);
  }

  #write(frame: Buffer, length: number): void {
    this.#sending = true;
    this.#cursor += length;
    this.#lastBytes = length;
    this.#lastSent = performance.now();
    this.#socket.write(frame, (error) => {
      if (error || this.#socket.destroyed) return;
      this.#sending = false;
      this.#terminal.advanced(this);
      if (this.#cursor < this.#terminal.ring.head) this.wake();
      else this.#terminal.caughtUp(this);
    });
  }

  #skipLost(ring: ScrollbackRing): void {
    if (this.#cursor >= ring.tail) return;
    this.send(FRAME.gap, { from: this.#cursor, to: ring.tail });
    this.#cursor = ring.tail;
    this.overtaken = true;
  }
}
