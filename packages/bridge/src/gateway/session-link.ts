import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import type { WebSocket } from "ws";

/** How a session came to its end. */
export interface SessionEnd {
  readonly code: number;
  readonly reason: string;
}

/** Bytes of a session on the wire, as the bridge sees them. */
export interface WireBytes {
  readonly in: number;
  readonly out: number;
}

/** What a session runs on: one socket, or the plain requests of one grant. */
export interface SessionLink {
  /** Resolves when it is closed for good, with how the peer or the door closed it. */
  readonly closed: Promise<SessionEnd>;
  readonly bytes: WireBytes;
  /** Whether the peer, or the door, has already said that it closes it. */
  readonly leaving: boolean;
  /** Drops what the peer sends, tells it why this ends, and is closed soon. */
  cut(error: DoorwardError, end: SessionEnd): void;
  /** Looks whether it still serves anybody; answers the error or the end that it should come to. */
  probe(): DoorwardError | SessionEnd | undefined;
}

/** Times of a socket, in milliseconds. */
export interface SocketTimes {
  /** How often a session is probed. */
  readonly pingMs: number;
  readonly silenceMs: number;
  readonly cutMs: number;
}

/** A session's WebSocket. */
export class SocketLink implements SessionLink {
  readonly closed: Promise<SessionEnd>;
  readonly #socket: WebSocket;
  readonly #wire: Duplex;
  readonly #times: SocketTimes;
  readonly #base: WireBytes;
  #heard = { bytes: 0, at: performance.now() };
  #probedAt = performance.now();

  constructor(socket: WebSocket, wire: Duplex, times: SocketTimes) {
    this.#socket = socket;
    this.#wire = wire;
    this.#times = times;
    this.#base = wireBytes(wire);
    this.closed = new Promise((resolve) => {
      socket.once("close", (code: number) => {
        resolve({ code, reason: peerReason(code) });
      });
    });
    socket.on("error", () => undefined);
  }

  get bytes(): WireBytes {
    const now = wireBytes(this.#wire);
    return { in: now.in - this.#base.in, out: now.out - this.#base.out };
  }

  get leaving(): boolean {
    return this.#socket.readyState === this.#socket.CLOSING;
  }

  /** The peer has the end of the connection right behind the reason, and needs no further answer of a bridge with much to end. */
  cut(_error: DoorwardError, end: SessionEnd): void {
    this.#socket.removeAllListeners("message");
    this.#socket.close(end.code, end.reason);
    this.#wire.end();
    if (this.#socket.isPaused) this.#socket.resume();
    const timer = setTimeout(() => {
      this.#socket.terminate();
    }, this.#times.cutMs);
    void this.closed.then(() => {
      clearTimeout(timer);
    });
  }

  /** Pings the peer; an error when nothing was heard of it for too long. */
  probe(): DoorwardError | undefined {
    const bytes = wireBytes(this.#wire).in;
    const now = performance.now();
    // Time in which the bridge itself stood still, on a host that was paused or busy, is no silence of the peer.
    this.#heard.at += Math.max(0, now - this.#probedAt - 2 * this.#times.pingMs);
    this.#probedAt = now;
    // While the door holds back input, answers to pings stay unread; that is no silence of the peer.
    if (bytes !== this.#heard.bytes || this.#socket.isPaused) this.#heard = { bytes, at: now };
    if (now - this.#heard.at > this.#times.silenceMs)
      return new DoorwardError({ code: "TIMED_OUT", message: "The peer of the socket does not answer" });
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
    return undefined;
  }
}

/** A peer may put anything into its close frame, so its reason is never repeated. */
function peerReason(code: number): string {
  return code === 1006 ? "ABORTED" : "CLOSED";
}

/** Bytes that a connection carried so far. */
export function wireBytes(wire: Duplex): WireBytes {
  return { in: numberOf(wire, "bytesRead"), out: numberOf(wire, "bytesWritten") };
}

function numberOf(wire: Duplex, key: "bytesRead" | "bytesWritten"): number {
  const value: unknown = Reflect.get(wire, key);
  return typeof value === "number" ? value : 0;
}
