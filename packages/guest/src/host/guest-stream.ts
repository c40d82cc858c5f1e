import type { Duplex } from "node:stream";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { abortError } from "./abort-error.ts";
import { FrameDecoder, decodeMessage, encodeMessage, type FrameRules } from "../frame.ts";
import { FRAME, StreamFailed, expectShape } from "../protocol.ts";
import { plainText } from "./plain-text.ts";

const START_TIMEOUT_MS = 10_000;
/** Message frames that a stream may bring in a second; output frames are not counted, back-pressure holds those. */
const MESSAGES_PER_SECOND = 200;

/** What may wait for a guest that does not read its stream, in bytes. */
const MAX_UNREAD_BYTES = 4_194_304;

/** Receives what a stream brings after it started. */
export interface StreamListener {
  frame(type: number, payload: Buffer): void;
  /** The stream is over: without an error when the guest ended it. */
  closed(error: DoorwardError | undefined): void;
}

/**
 * The bridge's end of one stream to a guest. Everything it reads is hostile: wrong frames, too large ones, and floods of
 * messages end the stream with GUEST_PROTOCOL. It reads nothing until somebody listens.
 */
export class GuestStream {
  readonly #duplex: Duplex;
  readonly #decoder: FrameDecoder;
  readonly #messagesPerSecond: number;
  #listener: StreamListener | undefined;
  #waiting: { readonly type: number; readonly payload: Buffer }[] = [];
  #error: DoorwardError | undefined;
  #closed = false;
  #second = 0;
  #messages = 0;

  /** A stream on which each message answers one of ours counts none of them: there can't be more than were asked for. */
  constructor(duplex: Duplex, rules: FrameRules, messagesPerSecond = MESSAGES_PER_SECOND) {
    this.#messagesPerSecond = messagesPerSecond;
    this.#duplex = duplex;
    this.#decoder = new FrameDecoder(rules);
    duplex.on("error", (error) => this.#fail(unreachable(error)));
    duplex.once("close", () => this.#end());
    duplex.on("data", (chunk: Buffer) => this.#received(chunk));
  }

  /** Waits for the first frame and answers its payload; a `failed` frame is thrown with its code. */
  async started(signal: AbortSignal): Promise<unknown> {
    const first = await this.#first(signal);
    if (first.type === FRAME.started) return decodeMessage(first.payload);
    if (first.type !== FRAME.failed) throw this.#refuse(protocolError("its first frame is not an answer"));
    const { code, message } = expectShape(StreamFailed, decodeMessage(first.payload), "failure");
    this.destroy();
    throw new DoorwardError({ code, message: plainText(message) });
  }

  /** Hands everything that follows to a listener. */
  listen(listener: StreamListener): void {
    this.#listener = listener;
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      for (const { type, payload } of waiting) listener.frame(type, payload);
    } catch (error) {
      this.#refuse(toDoorwardError(error));
    }
    if (this.#closed) listener.closed(this.#error);
    else this.#duplex.resume();
  }

  /** Writes frames; answers whether there is room for more. A guest that reads nothing at all is cut. */
  write(frame: Buffer): boolean {
    if (this.#duplex.destroyed) return false;
    if (this.#duplex.writableLength > MAX_UNREAD_BYTES) this.#refuse(protocolError("it does not read"));
    return this.#duplex.write(frame);
  }

  /** Writes a message frame. */
  send(type: number, message: unknown): void {
    this.write(encodeMessage(type, message));
  }

  /** Calls back once, when there is room for more again. */
  onceWritable(listener: () => void): void {
    this.#duplex.once("drain", listener);
  }

  pause(): void {
    this.#duplex.pause();
  }

  resume(): void {
    this.#duplex.resume();
  }

  /** Cuts the stream at once. */
  destroy(): void {
    this.#duplex.destroy();
  }

  #first(signal: AbortSignal): Promise<{ type: number; payload: Buffer }> {
    return new Promise((resolve, reject) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
      const stop = (): void => {
        this.destroy();
        reject(signal.aborted ? abortError(signal) : timedOut());
      };
      limit.addEventListener("abort", stop, { once: true });
      if (limit.aborted) stop();
      this.#listener = {
        frame: (type, payload) => {
          limit.removeEventListener("abort", stop);
          this.#listener = undefined;
          this.#duplex.pause();
          resolve({ type, payload });
        },
        closed: (error) => {
          limit.removeEventListener("abort", stop);
          reject(error ?? unreachable(undefined));
        },
      };
      // a dialled stream comes paused, so that nothing is lost before somebody reads
      this.#duplex.resume();
    });
  }

  #received(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk, (type, payload) => this.#accept(type, payload));
    } catch (error) {
      this.#refuse(toDoorwardError(error));
    }
  }

  #accept(type: number, payload: Buffer): void {
    this.#count(type);
    this.#deliver(type, payload);
  }

  #deliver(type: number, payload: Buffer): void {
    if (this.#listener === undefined) this.#waiting.push({ type, payload });
    else this.#listener.frame(type, payload);
  }

  #count(type: number): void {
    if (type === FRAME.output || type === FRAME.stdout || type === FRAME.stderr || type === FRAME.stdinCredit)
      return;
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) this.#messages = 0;
    this.#second = second;
    this.#messages += 1;
    if (this.#messages > this.#messagesPerSecond) throw protocolError("it floods the stream with messages");
  }

  #refuse(error: DoorwardError): DoorwardError {
    this.#fail(error);
    this.#duplex.destroy();
    return error;
  }

  #fail(error: DoorwardError): void {
    this.#error ??= error;
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener?.closed(this.#error);
  }
}

/** What the machine's guest did that its protocol does not allow. */
export function protocolError(why: string): DoorwardError {
  return new DoorwardError({
    code: "GUEST_PROTOCOL",
    message: `Cannot read stream of the machine's guest: ${why}`,
  });
}

function unreachable(cause: unknown): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "Cannot go on with stream: the machine's guest closed it",
    cause,
  });
}

function timedOut(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: `Cannot open stream: the machine's guest did not answer within ${String(START_TIMEOUT_MS / 1000)} s`,
  });
}
