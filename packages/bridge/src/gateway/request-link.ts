import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { DenialError, DoorwardError } from "@doorward/contracts";
import { publicError } from "./problem.ts";
import { challengeHeaders } from "./resource-metadata.ts";
import { sendProblem } from "./respond.ts";
import { wireBytes, type SessionEnd, type SessionLink, type WireBytes } from "./session-link.ts";

/** Limits of a session of plain requests. */
export interface RequestLimits {
  /** Milliseconds without a request after which it ends. */
  readonly unusedMs: number;
  /** Milliseconds that a cut request has to send its last words before its connection is destroyed. */
  readonly cutMs: number;
  /** Requests that it serves at the same time. */
  readonly requestsPerSession: number;
}

interface Served {
  readonly request: IncomingMessage;
  readonly correlationId: string;
}

/** What each connection carried when it was last counted; it may serve several sessions in turn. */
const counted = new WeakMap<Duplex, WireBytes>();

/** The plain requests that make up one session. */
export class RequestLink implements SessionLink {
  readonly closed: Promise<SessionEnd>;
  readonly #limits: RequestLimits;
  readonly #busy: () => boolean;
  readonly #served = new Map<ServerResponse, Served>();
  #bytes: WireBytes = { in: 0, out: 0 };
  #usedAt = performance.now();
  #ended: SessionEnd | undefined;
  #close: (end: SessionEnd) => void = () => undefined;

  /** `busy` says whether something goes on in the session between its requests. */
  constructor(limits: RequestLimits, busy: () => boolean) {
    this.#limits = limits;
    this.#busy = busy;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  get bytes(): WireBytes {
    return this.#bytes;
  }

  /** Plain requests have no farewell. */
  get leaving(): boolean {
    return false;
  }

  /** Takes a request in; throws RATE_LIMITED when as many as may be are served already. */
  add(request: IncomingMessage, response: ServerResponse, correlationId: string): void {
    if (this.#served.size >= this.#limits.requestsPerSession) throw tooMany(this.#served.size);
    this.#served.set(response, { request, correlationId });
    response.once("close", () => {
      this.#count(request.socket);
      this.#served.delete(response);
      this.#usedAt = performance.now();
      this.#closeWhenEmpty();
    });
  }

  /** Answers what was not answered yet with the error, and breaks off what was begun, after the door's last words. */
  cut(error: DoorwardError, end: SessionEnd): void {
    this.#ended = end;
    for (const [response, { request, correlationId }] of this.#served) {
      if (!response.headersSent)
        sendProblem(request, response, publicError(error), correlationId, challengeHeaders(error, request));
      else setImmediate(() => !response.writableEnded && response.destroy());
      const timer = setTimeout(() => request.socket.destroy(), this.#limits.cutMs);
      response.once("close", () => {
        clearTimeout(timer);
      });
    }
    this.#closeWhenEmpty();
  }

  /** Its end once nobody asked anything for a while. */
  probe(): SessionEnd | undefined {
    const unusedMs = performance.now() - this.#usedAt;
    if (this.#served.size > 0 || unusedMs < this.#limits.unusedMs || this.#busy()) return undefined;
    return { code: 1000, reason: "CLOSED" };
  }

  #closeWhenEmpty(): void {
    if (this.#ended !== undefined && this.#served.size === 0) this.#close(this.#ended);
  }

  #count(wire: Duplex): void {
    const before = counted.get(wire) ?? { in: 0, out: 0 };
    const now = wireBytes(wire);
    counted.set(wire, now);
    this.#bytes = { in: this.#bytes.in + now.in - before.in, out: this.#bytes.out + now.out - before.out };
  }
}

function tooMany(served: number): DenialError {
  return new DenialError({
    code: "RATE_LIMITED",
    rule: "gateway.limits.requestsPerSession",
    message: `Cannot serve another request at this door: ${String(served)} of this session are served already`,
  });
}
