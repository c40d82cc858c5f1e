import type { Duplex } from "node:stream";
import {
  DoorwardError,
  ForwardClientMessage,
  MAX_WIRE_CHUNK_BYTES,
  toDoorwardError,
} from "@doorward/contracts";
import { abortError, dialPort } from "@doorward/guest";
import type { WebSocket } from "ws";
import type { DoorSession, ForwardRecord } from "../door.ts";
import { authoriseForward } from "./authorise.ts";
import { DoorSocket } from "./door-socket.ts";
import { noticeMessage } from "./notice-message.ts";
import { outOfTurn } from "./protocol.ts";

type ForwardSocket = DoorSocket<typeof ForwardClientMessage>;

/** Bytes for a client that may wait in the bridge before the machine is held back. */
const HIGH_WATER_BYTES = 1_048_576;

/** One connection to a port of the machine's loopback, carried over one socket with half-close and back-pressure. */
export class ForwardSession {
  readonly #socket: ForwardSocket;
  readonly #stream: Duplex;
  #unsent = 0;
  #clientEnded = false;
  #machineEnded = false;

  /** Serves a session until its end. */
  static async serve(session: DoorSession, webSocket: WebSocket): Promise<void> {
    const socket: ForwardSocket = new DoorSocket(webSocket, ForwardClientMessage, session.signal);
    try {
      const hello = await socket.first();
      if (hello.type !== "dial") throw outOfTurn(hello.type, "the first message is dial");
      authoriseForward(session);
      await ForwardSession.#connect(session, socket, hello.port);
    } catch (error) {
      socket.fail(error);
    }
    await socket.ended;
  }

  /** One connection, and the record of what became of it. */
  static async #connect(session: DoorSession, socket: ForwardSocket, port: number): Promise<void> {
    const begun = session.host.begin({ type: "forward", execution: session.kind, port });
    const began = performance.now();
    const record = (outcome: ForwardRecord["outcome"], code: string | null): Promise<void> => {
      const durationMs = Math.round(performance.now() - began);
      return begun.record({
        type: "forward",
        execution: session.kind,
        ...{ port, outcome, code, durationMs },
      });
    };
    const stream = await dialPort(session.host, port, session.signal).catch(async (error: unknown) => {
      await record("refused", toDoorwardError(error).code);
      throw error;
    });
    const connection = new ForwardSession(socket, stream);
    const code = await connection.#carry(session);
    if (connection.#clientEnded && connection.#machineEnded) await record("ended", null);
    else await record("cut", code);
  }

  /** Carries until the end; answers the code of what broke it off, null for an end of the client's own. */
  async #carry(session: DoorSession): Promise<string | null> {
    try {
      using _notices = session.host.onNotice((notice) => this.#socket.send(noticeMessage(notice)));
      this.#begin(session);
      await this.#socket.ended;
      return session.signal.aborted ? abortError(session.signal).code : null;
    } catch (error) {
      return toDoorwardError(error).code;
    } finally {
      this.#stream.destroy();
    }
  }

  private constructor(socket: ForwardSocket, stream: Duplex) {
    this.#socket = socket;
    this.#stream = stream;
  }

  #begin(session: DoorSession): void {
    const stream = this.#stream;
    this.#socket.send({ type: "dialled", session: session.id });
    this.#socket.listen(HIGH_WATER_BYTES, {
      message: (message) => this.#message(message),
      binary: (bytes) => this.#received(bytes),
    });
    stream.on("data", (bytes: Buffer) => this.#deliver(bytes));
    stream.on("drain", () => this.#socket.resume());
    // A stream that was cut tells so a moment after its end; it must not be taken for one that finished.
    stream.once("end", () => setImmediate(() => this.#end()));
    stream.once("close", () => this.#closed());
    stream.resume();
    if (stream.destroyed) this.#closed();
  }

  #deliver(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += MAX_WIRE_CHUNK_BYTES) {
      const part = bytes.subarray(at, at + MAX_WIRE_CHUNK_BYTES);
      this.#unsent += part.length;
      this.#socket.sendBytes(part, () => this.#sent(part.length));
    }
    if (this.#unsent > HIGH_WATER_BYTES) this.#stream.pause();
  }

  #sent(bytes: number): void {
    this.#unsent -= bytes;
    if (this.#unsent <= HIGH_WATER_BYTES / 2 && this.#stream.isPaused()) this.#stream.resume();
  }

  #received(bytes: Uint8Array): void {
    if (this.#clientEnded) throw outOfTurn("bytes", `they follow "end"`);
    if (!this.#stream.write(bytes)) this.#socket.pause();
  }

  #message(message: ForwardClientMessage): void {
    if (message.type === "dial" || this.#clientEnded) throw outOfTurn(message.type, "the connection stands");
    this.#clientEnded = true;
    this.#stream.end();
  }

  #end(): void {
    if (this.#machineEnded || this.#stream.errored) return;
    this.#machineEnded = true;
    this.#socket.send({ type: "end" });
  }

  #closed(): void {
    const whole = this.#clientEnded && this.#stream.readableEnded && !this.#stream.errored;
    if (whole) this.#end();
    if (whole) this.#socket.finish();
    else this.#socket.fail(cutInMachine());
  }
}

function cutInMachine(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "Cannot go on with connection: the machine cut it",
  });
}
