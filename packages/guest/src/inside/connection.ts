import { connect, type Socket } from "node:net";
import { FrameDecoder, decodeMessage, encodeMessage } from "../frame.ts";
import {
  CONTROL_FROM_BRIDGE_RULES,
  ControlFromBridge,
  FRAME,
  GUEST_PROTOCOLS,
  expectShape,
  type ConnectionHello,
  type ControlFromGuest,
  type StreamOpen,
} from "../protocol.ts";

const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 500;
/** A stream that can't be connected is tried again so often: the bridge closes its socket for a second when it is flooded. */
const STREAM_TRIES = 40;
const STREAM_RETRY_MS = 100;

/** What the bridge can ask of the guest. */
export interface GuestServices {
  serve(open: StreamOpen, socket: Socket): void;
  /** Whether to listen at the machine's egress port; without a bridge, always. */
  egress(listen: boolean): void;
  answer(what: "health" | "terminals", id: number): ControlFromGuest;
}

/** Keeps one control connection to the bridge, for ever: the bridge may come and go. */
export class ControlConnection {
  readonly #socketPath: string;
  readonly #hello: ConnectionHello;
  readonly #services: GuestServices;
  #retryMs = FIRST_RETRY_MS;

  constructor(socketPath: string, identity: { instance: string; build: string }, services: GuestServices) {
    this.#socketPath = socketPath;
    this.#services = services;
    this.#hello = {
      connection: "control",
      protocols: [...GUEST_PROTOCOLS],
      pid: process.pid,
      runtime: process.version,
      ...identity,
    };
  }

  /** Connects, and connects again whenever the connection ends. */
  start(): void {
    const socket = connect(this.#socketPath);
    const decoder = new FrameDecoder(CONTROL_FROM_BRIDGE_RULES);
    socket.write(encodeMessage(FRAME.hello, this.#hello));
    socket.on("data", (chunk: Buffer) => {
      try {
        decoder.push(chunk, (_, payload) => this.#received(payload, socket));
      } catch (error) {
        console.error("control connection cut:", error);
        socket.destroy();
      }
    });
    socket.on("error", () => undefined);
    socket.once("close", () => this.#again());
  }

  #again(): void {
    this.#services.egress(true);
    setTimeout(() => this.start(), this.#retryMs);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
  }

  #received(payload: Buffer, socket: Socket): void {
    const message = expectShape(ControlFromBridge, decodeMessage(payload), "control message");
    if (message.type === "welcome") this.#retryMs = FIRST_RETRY_MS;
    else if (message.type === "open") this.#open(message.nonce, message.open);
    else if (message.type === "egress") this.#services.egress(message.listen);
    else socket.write(encodeMessage(FRAME.control, this.#services.answer(message.what, message.id)));
  }

  #open(nonce: string, open: StreamOpen, tries = STREAM_TRIES): void {
    const socket = connect({ path: this.#socketPath, allowHalfOpen: open.kind === "dial" });
    const hello: ConnectionHello = { connection: "stream", nonce };
    const again = (): void => {
      if (tries > 1) setTimeout(() => this.#open(nonce, open, tries - 1), STREAM_RETRY_MS);
    };
    socket.once("error", again);
    socket.once("connect", () => {
      socket.off("error", again);
      socket.on("error", () => undefined);
      socket.write(encodeMessage(FRAME.hello, hello));
      this.#services.serve(open, socket);
    });
  }
}
