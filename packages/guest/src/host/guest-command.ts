import type { DoorwardError, ExecSignal, ExitStatus } from "@doorward/contracts";
import { MAX_DATA_BYTES, decodeMessage, encodeFrame } from "../frame.ts";
import type { GuestDialer } from "../link.ts";
import {
  EXEC_FROM_GUEST_RULES,
  ExecStarted,
  ExitStatus as ExitStatusSchema,
  FRAME,
  expectShape,
  type ExecOpen,
} from "../protocol.ts";
import { GuestStream, protocolError } from "./guest-stream.ts";

/** Who hears of a running command. */
export interface CommandListener {
  stdout(bytes: Buffer): void;
  stderr(bytes: Buffer): void;
  /** So many more bytes of stdin may be sent. */
  credit(bytes: number): void;
  exit(status: ExitStatus): void;
  /** The stream is over; without an exit before, the command's fate is unknown. */
  closed(error: DoorwardError | undefined): void;
}

/** The bridge's end of one command in a machine. Disposing kills the command's whole process group. */
export class GuestCommand implements Disposable {
  readonly started: ExecStarted;
  readonly #stream: GuestStream;
  /** Bytes of stdin that were sent and not credited yet. */
  #uncredited = 0;

  /** Starts a command. */
  static async start(link: GuestDialer, open: ExecOpen, signal: AbortSignal): Promise<GuestCommand> {
    const stream = new GuestStream(await link.dial(open, signal), EXEC_FROM_GUEST_RULES);
    try {
      return new GuestCommand(stream, expectShape(ExecStarted, await stream.started(signal), "started"));
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  private constructor(stream: GuestStream, started: ExecStarted) {
    this.#stream = stream;
    this.started = started;
  }

  /** Begins reading. */
  listen(listener: CommandListener): void {
    this.#stream.listen({
      frame: (type, payload) => {
        if (type === FRAME.stdout) listener.stdout(payload);
        else if (type === FRAME.stderr) listener.stderr(payload);
        else if (type === FRAME.stdinCredit) this.#credit(payload.readUInt32BE(0), listener);
        else if (type === FRAME.exit)
          listener.exit(expectShape(ExitStatusSchema, decodeMessage(payload), "exit"));
        else this.#stream.destroy();
      },
      closed: (error) => listener.closed(error),
    });
  }

  /** Sends stdin; the caller stays within `started.stdinWindow` and the credit given since. */
  stdin(bytes: Buffer): void {
    this.#uncredited += bytes.length;
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      this.#stream.write(encodeFrame(FRAME.stdin, bytes.subarray(at, at + MAX_DATA_BYTES)));
    }
  }

  /** Ends stdin. */
  endStdin(): void {
    this.#stream.write(encodeFrame(FRAME.stdinEnd, Buffer.alloc(0)));
  }

  /** Sends a signal to the command's whole process group. */
  signal(signal: ExecSignal): void {
    this.#stream.send(FRAME.signal, { signal });
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

  /** A guest that credits more than it was sent could make the bridge hold any amount of stdin. */
  #credit(bytes: number, listener: CommandListener): void {
    this.#uncredited -= bytes;
    if (this.#uncredited < 0) throw protocolError("it credits stdin that was not sent");
    listener.credit(bytes);
  }
}
