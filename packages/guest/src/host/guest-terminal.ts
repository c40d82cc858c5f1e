import type { DoorwardError, ExitStatus } from "@doorward/contracts";
import { MAX_DATA_BYTES, decodeMessage, encodeFrame } from "../frame.ts";
import type { GuestDialer } from "../link.ts";
import {
  ExitStatus as ExitStatusSchema,
  FRAME,
  Gap,
  RoleChange,
  Size,
  TERMINAL_FROM_GUEST_RULES,
  TerminalStarted,
  expectShape,
  type TerminalOpen,
} from "../protocol.ts";
import { GuestStream, protocolError } from "./guest-stream.ts";

/** Who hears of a viewed terminal. */
export interface TerminalListener {
  /** Output at an absolute position; positions only jump where a gap was told. */
  output(bytes: Buffer, offset: number): void;
  gap(from: number, to: number): void;
  role(change: RoleChange): void;
  size(size: Size): void;
  exit(status: ExitStatus, offset: number): void;
  /** The stream is over; without an error after an exit, or when the guest ended it. */
  closed(error: DoorwardError | undefined): void;
}

/** The bridge's view of one terminal through one stream. Disposing detaches; the terminal goes on. */
export class GuestTerminal implements Disposable {
  readonly started: TerminalStarted;
  readonly #stream: GuestStream;
  #offset: number;
  #exited = false;

  /** Creates or attaches to a terminal. */
  static async open(link: GuestDialer, open: TerminalOpen, signal: AbortSignal): Promise<GuestTerminal> {
    const stream = new GuestStream(await link.dial(open, signal), TERMINAL_FROM_GUEST_RULES);
    try {
      return new GuestTerminal(stream, expectShape(TerminalStarted, await stream.started(signal), "started"));
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  private constructor(stream: GuestStream, started: TerminalStarted) {
    this.#stream = stream;
    this.started = started;
    this.#offset = started.offset;
  }

  /** Begins reading. */
  listen(listener: TerminalListener): void {
    this.#stream.listen({
      frame: (type, payload) => this.#frame(type, payload, listener),
      closed: (error) => listener.closed(error),
    });
  }

  /** Types bytes; answers whether there is room for more. */
  input(bytes: Buffer): boolean {
    let room = true;
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      room = this.#stream.write(encodeFrame(FRAME.input, bytes.subarray(at, at + MAX_DATA_BYTES)));
    }
    return room;
  }

  /** Calls back once, when there is room for input again. */
  onceWritable(listener: () => void): void {
    this.#stream.onceWritable(listener);
  }

  resize(size: Size): void {
    this.#stream.send(FRAME.resize, size);
  }

  /** Asks for control, or gives it back. */
  want(what: "control" | "observe"): void {
    this.#stream.send(FRAME.role, { want: what });
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }

  #frame(type: number, payload: Buffer, listener: TerminalListener): void {
    if (this.#exited) throw protocolError("it goes on after the exit");
    if (type === FRAME.output) {
      const offset = this.#offset;
      this.#offset += payload.length;
      listener.output(payload, offset);
      return;
    }
    this.#message(type, decodeMessage(payload), listener);
  }

  #message(type: number, message: unknown, listener: TerminalListener): void {
    if (type === FRAME.gap) this.#gap(expectShape(Gap, message, "gap"), listener);
    else if (type === FRAME.role) listener.role(expectShape(RoleChange, message, "role"));
    else if (type === FRAME.resize) listener.size(expectShape(Size, message, "size"));
    else if (type === FRAME.exit) this.#exit(expectShape(ExitStatusSchema, message, "exit"), listener);
    else this.#stream.destroy();
  }

  #exit(status: ExitStatus, listener: TerminalListener): void {
    this.#exited = true;
    listener.exit(status, this.#offset);
  }

  #gap(gap: { readonly from: number; readonly to: number }, listener: TerminalListener): void {
    if (gap.from !== this.#offset || gap.to <= gap.from) {
      this.#stream.destroy();
      return;
    }
    this.#offset = gap.to;
    listener.gap(gap.from, gap.to);
  }
}
