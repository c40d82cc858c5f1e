import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import type { DoorNotice, DoorRecord } from "@doorward/doors";
import type { WebSocket } from "ws";
import type { SessionClosed, SessionOpened } from "./ports.ts";
import { closeOf } from "./problem.ts";

/** How a session came to its end. */
export interface SessionEnd {
  readonly code: number;
  readonly reason: string;
}

/** One open door socket: what it is for, how it is cut, and what is known of it at its end. */
export class LiveSession {
  readonly opened: SessionOpened;
  /** Resolves when the socket is closed for good. */
  readonly closed: Promise<SessionEnd>;
  readonly #socket: WebSocket;
  readonly #wire: Duplex;
  readonly #cutMs: number;
  readonly #controller = new AbortController();
  readonly #noticed = new Set<(notice: DoorNotice) => void>();
  readonly #began = performance.now();
  #base = { in: 0, out: 0 };
  #end: SessionEnd | undefined;
  #exitCode: number | null = null;
  #heard = { bytes: 0, at: performance.now() };

  constructor(options: {
    readonly opened: SessionOpened;
    readonly socket: WebSocket;
    readonly wire: Duplex;
    readonly cutMs: number;
  }) {
    this.opened = options.opened;
    this.#socket = options.socket;
    this.#wire = options.wire;
    this.#cutMs = options.cutMs;
    this.#base = wireBytes(options.wire);
    this.closed = new Promise((resolve) => {
      options.socket.once("close", (code: number) => {
        const end = this.#end ?? { code, reason: peerReason(code) };
        this.#abort(new DoorwardError({ code: "ABORTED", message: "The session's socket closed" }));
        resolve(end);
      });
    });
    options.socket.on("error", () => undefined);
  }

  /** Aborts with the reason when the session is cut or its socket closes. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the session because of an error: what the peer sends is dropped from now on, and its socket is gone soon. */
  cut(error: DoorwardError, end: SessionEnd = closeOf(error)): boolean {
    if (this.#end !== undefined || this.signal.aborted) return false;
    this.#end = end;
    this.#socket.removeAllListeners("message");
    this.#socket.close(end.code, end.reason);
    this.#abort(error);
    if (this.#socket.isPaused) this.#socket.resume();
    const timer = setTimeout(() => {
      this.#socket.terminate();
    }, this.#cutMs);
    void this.closed.then(() => {
      clearTimeout(timer);
    });
    return true;
  }

  /** Tells the door of something that its user should know. */
  notify(notice: DoorNotice): void {
    for (const listener of this.#noticed) listener(notice);
  }

  /** Registers who is told of notices. */
  onNotice(listener: (notice: DoorNotice) => void): Disposable {
    this.#noticed.add(listener);
    return {
      [Symbol.dispose]: () => {
        this.#noticed.delete(listener);
      },
    };
  }

  /** Remembers how the session's program exited, for the record of its end. */
  observe(record: DoorRecord): void {
    const exited = record.type === "command" || record.event === "exited";
    if (exited) this.#exitCode = record.exitCode;
  }

  /** Pings the peer, and cuts the session when nothing was heard of it for too long. */
  probe(silenceMs: number): void {
    const bytes = wireBytes(this.#wire).in;
    const now = performance.now();
    // While the door holds back input, answers to pings stay unread; that is no silence of the peer.
    if (bytes !== this.#heard.bytes || this.#socket.isPaused) this.#heard = { bytes, at: now };
    if (now - this.#heard.at > silenceMs) {
      this.cut(new DoorwardError({ code: "TIMED_OUT", message: "The peer of the socket does not answer" }));
    } else if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  /** The record of its end. */
  closedRecord(end: SessionEnd): SessionClosed {
    const bytes = wireBytes(this.#wire);
    return {
      opened: this.opened,
      durationMs: Math.round(performance.now() - this.#began),
      bytesIn: bytes.in - this.#base.in,
      bytesOut: bytes.out - this.#base.out,
      exitCode: this.#exitCode,
      closeCode: end.code,
      reason: end.reason,
      at: new Date().toISOString(),
    };
  }

  #abort(error: DoorwardError): void {
    if (!this.signal.aborted) this.#controller.abort(error);
  }
}

/** A peer may put anything into its close frame, so its reason is never repeated. */
function peerReason(code: number): string {
  return code === 1006 ? "ABORTED" : "CLOSED";
}

function wireBytes(wire: Duplex): { in: number; out: number } {
  return { in: numberOf(wire, "bytesRead"), out: numberOf(wire, "bytesWritten") };
}

function numberOf(wire: Duplex, key: "bytesRead" | "bytesWritten"): number {
  const value: unknown = Reflect.get(wire, key);
  return typeof value === "number" ? value : 0;
}
