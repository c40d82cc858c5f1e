import { Duplex } from "node:stream";
import {
  DoorwardError,
  FORWARD_PROTOCOL,
  ForwardServerMessage,
  MAX_WIRE_CHUNK_BYTES,
  isErrorCode,
  toDoorwardError,
  type ForwardClientMessage,
} from "@doorward/contracts";
import { Handshake } from "./handshake.ts";
import { parseJson } from "./ndjson.ts";
import { errorFromClose } from "./problem.ts";
import { firstIssue } from "./route-request.ts";
import type { Transport, WireSocket } from "./transport.ts";

/** Connects to a port of a machine's loopback; rejects with PORT_CLOSED where no program listens. */
export async function openForward(
  transport: Transport,
  machine: string,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const connection = new ForwardConnection();
  const path = `/v1/machines/${encodeURIComponent(machine)}/doors/forward`;
  const socket = await transport.open(path, FORWARD_PROTOCOL, connection.listener, { signal });
  const stop = (): void => void connection.destroy(toDoorwardError(signal?.reason));
  signal?.addEventListener("abort", stop, { once: true });
  connection.once("close", () => signal?.removeEventListener("abort", stop));
  return await connection.begin(socket, port);
}

/** One connection to a port of a machine, as a stream with half-close; back-pressure is the socket's. */
class ForwardConnection extends Duplex {
  readonly #dialled = new Handshake<null>();
  #socket: WireSocket | undefined;
  #error: DoorwardError | undefined;
  #ended = false;

  constructor() {
    super({ allowHalfOpen: true });
    this.on("error", () => undefined);
  }

  readonly listener = {
    text: (text: string): void => this.#guard(() => this.#message(parse(text))),
    binary: (bytes: Uint8Array): void => {
      if (!this.push(bytes)) this.#socket?.pause();
    },
    closed: (code: number, reason: string): void => this.#closed(code, reason),
  };

  async begin(socket: WireSocket, port: number): Promise<this> {
    this.#socket = socket;
    this.#send({ type: "dial", port });
    await this.#dialled.answer;
    return this;
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    for (let at = 0; at < chunk.length; at += MAX_WIRE_CHUNK_BYTES) {
      const last = at + MAX_WIRE_CHUNK_BYTES >= chunk.length;
      this.#socket?.send(chunk.subarray(at, at + MAX_WIRE_CHUNK_BYTES), last ? done : undefined);
    }
    if (chunk.length === 0) done();
  }

  override _final(done: () => void): void {
    this.#send({ type: "end" });
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#dialled.refuse(toDoorwardError(error));
    if (error === null && this.#ended && this.writableFinished) this.#socket?.close(1000, "");
    else this.#socket?.terminate();
    done(error);
  }

  #message(message: ForwardServerMessage): void {
    if (message.type === "dialled") this.#dialled.accept(null);
    else if (message.type === "end") this.#end();
    else if (message.type === "error" && message.fatal) {
      const code = isErrorCode(message.code) ? message.code : "INTERNAL";
      this.#error = new DoorwardError({ code, message: message.message, hint: message.hint });
    }
  }

  #end(): void {
    this.#ended = true;
    this.push(null);
  }

  #closed(code: number, reason: string): void {
    if (code === 1000 && this.#ended) return;
    const error = this.#error ?? errorFromClose("connection", code, reason);
    this.#dialled.refuse(error);
    this.destroy(error);
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (cause) {
      this.destroy(toDoorwardError(cause));
    }
  }

  #send(message: ForwardClientMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }
}

function parse(text: string): ForwardServerMessage {
  const parsed = ForwardServerMessage.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot read a message of the forward door: ${firstIssue(parsed.error)}`,
  });
}
