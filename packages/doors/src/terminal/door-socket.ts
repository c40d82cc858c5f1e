import { DoorwardError, MAX_WIRE_MESSAGE_BYTES, toDoorwardError } from "@doorward/contracts";
import { abortError } from "@doorward/guest";
import type { WebSocket } from "ws";
import type * as z from "zod";
import { decodeText } from "./protocol.ts";

const HELLO_TIMEOUT_MS = 10_000;
/** Messages without flow control that may wait for a client that does not read, beyond its window. */
const MAX_UNREAD_BYTES = 1_048_576;

/** Who hears of a client's messages. */
export interface ClientListener<Message> {
  message(message: Message): void;
  binary(bytes: Uint8Array): void;
}

type Queued<Message> = { readonly message: Message } | { readonly binary: Uint8Array };

/** A promise that is settled from outside, and whose rejection nobody has to wait for. */
class Ending {
  resolve: () => void = () => undefined;
  reject: (error: DoorwardError) => void = () => undefined;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => undefined);
  }
}

/**
 * One client's socket: text messages checked against their schema, binary ones as they are, and an end that is told once.
 * What comes before somebody listens is kept, at most what the socket had already read.
 */
export class DoorSocket<Schema extends z.ZodType> {
  readonly #socket: WebSocket;
  readonly #schema: Schema;
  readonly #signal: AbortSignal;
  readonly #ended = new Ending();
  #queue: Queued<z.infer<Schema>>[] = [];
  #listener: ClientListener<z.infer<Schema>> | undefined;
  #arrived: (() => void) | undefined;
  #over = false;
  /** Bytes of output that the client may still acknowledge; they don't count as unread. */
  #window = 0;

  constructor(socket: WebSocket, schema: Schema, signal: AbortSignal) {
    this.#socket = socket;
    this.#schema = schema;
    this.#signal = signal;
    socket.on("message", (data, isBinary) => this.#guard(() => this.#received(bufferOf(data), isBinary)));
    socket.once("close", () => this.finish());
    signal.addEventListener("abort", () => this.finish(), { once: true });
    if (signal.aborted) this.finish();
  }

  /** Resolves when the session is over in good order, rejects with what ended it otherwise. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Whether the session is over. */
  get over(): boolean {
    return this.#over;
  }

  /** Waits for the client's first message. */
  async first(): Promise<z.infer<Schema>> {
    const limit = AbortSignal.any([this.#signal, AbortSignal.timeout(HELLO_TIMEOUT_MS)]);
    while (this.#queue.length === 0) await this.#arrival(limit);
    this.#socket.pause();
    const next = this.#queue.shift();
    if (next !== undefined && "message" in next) return next.message;
    throw new DoorwardError({
      code: "PROTOCOL_ERROR",
      message: "Cannot begin: the first message is not text",
    });
  }

  /** Hands everything that follows to a listener; `window` is what may be un-acknowledged. */
  listen(window: number, listener: ClientListener<z.infer<Schema>>): void {
    this.#window = window;
    this.#listener = listener;
    for (const queued of this.#queue.splice(0)) this.#guard(() => this.#deliver(queued));
    this.#socket.resume();
  }

  /** Sends a text message. */
  send(message: object): void {
    if (this.#over) return;
    this.#socket.send(JSON.stringify(message));
    this.#requireReader();
  }

  /** Sends a binary message; `sent` is called once the network took it. */
  sendBytes(bytes: Uint8Array, sent?: () => void): void {
    if (this.#over) return;
    if (sent === undefined) this.#socket.send(bytes);
    else this.#socket.send(bytes, sent);
  }

  /** Stops reading from the client for a while. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the session in good order and closes the socket. */
  finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#arrived?.();
    if (!this.#signal.aborted && this.#socket.readyState === this.#socket.OPEN)
      this.#socket.close(1000, "CLOSED");
    if (this.#socket.isPaused) this.#socket.resume();
    this.#ended.resolve();
  }

  /** Ends the session with an error: the client is told what and why, the gateway closes the socket. */
  fail(thrown: unknown): void {
    if (this.#over) return;
    const error = toDoorwardError(thrown);
    this.#tell(error, true);
    this.#over = true;
    this.#arrived?.();
    // a paused socket would never see the client's answer to the close
    if (this.#socket.isPaused) this.#socket.resume();
    this.#ended.reject(error);
  }

  /** Tells of an error that the session survives. */
  warn(error: DoorwardError): void {
    if (!this.#over) this.#tell(error, false);
  }

  #tell(error: DoorwardError, fatal: boolean): void {
    const { code, message, hint } = error;
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const text = code === "INTERNAL" ? "Unexpected fault in the bridge" : message.slice(0, 4000);
    this.#socket.send(
      JSON.stringify({ type: "error", code, message: text, ...(hint ? { hint } : {}), fatal }),
    );
  }

  #received(data: Buffer, isBinary: boolean): void {
    if (this.#over) return;
    if (data.length > MAX_WIRE_MESSAGE_BYTES) {
      throw new DoorwardError({
        code: "INPUT_TOO_LARGE",
        message: `Cannot take message: ${String(data.length)} bytes are over ${String(MAX_WIRE_MESSAGE_BYTES)}`,
      });
    }
    this.#deliver(isBinary ? { binary: data } : { message: decodeText(this.#schema, data) });
  }

  #deliver(queued: Queued<z.infer<Schema>>): void {
    if (this.#listener === undefined) {
      this.#queue.push(queued);
      this.#arrived?.();
    } else if ("message" in queued) this.#listener.message(queued.message);
    else this.#listener.binary(queued.binary);
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fail(error);
    }
  }

  #arrival(limit: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(this.#signal.aborted ? abortError(this.#signal) : noHello());
      limit.addEventListener("abort", late, { once: true });
      this.#arrived = () => {
        limit.removeEventListener("abort", late);
        if (this.#over && this.#queue.length === 0) reject(gone());
        else resolve();
      };
      if (limit.aborted) late();
      else if (this.#over) reject(gone());
    });
  }

  #requireReader(): void {
    if (this.#socket.bufferedAmount <= MAX_UNREAD_BYTES + this.#window) return;
    this.fail(
      new DoorwardError({
        code: "RATE_LIMITED",
        message: "Cannot send more: the client does not read its messages",
      }),
    );
  }
}

function bufferOf(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

function gone(): DoorwardError {
  return new DoorwardError({ code: "ABORTED", message: "Cannot begin: the client closed its socket" });
}

function noHello(): DoorwardError {
  return new DoorwardError({
    code: "TIMED_OUT",
    message: `Cannot begin: the client sent no first message within ${String(HELLO_TIMEOUT_MS / 1000)} s`,
  });
}
