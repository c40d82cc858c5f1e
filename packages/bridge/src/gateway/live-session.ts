import { DoorwardError } from "@doorward/contracts";
import type { DoorNotice, DoorRecord } from "@doorward/doors";
import type { SessionClosed, SessionOpened } from "./ports.ts";
import { closeOf } from "./problem.ts";
import type { SessionEnd, SessionLink } from "./session-link.ts";

/** One open session at a door: what it is for, how it is cut, and what is known of it at its end. */
export class LiveSession {
  readonly opened: SessionOpened;
  /** Resolves when what it runs on is closed for good. */
  readonly closed: Promise<SessionEnd>;
  readonly #link: SessionLink;
  readonly #controller = new AbortController();
  readonly #noticed = new Set<(notice: DoorNotice) => void>();
  readonly #began = performance.now();
  #end: SessionEnd | undefined;
  #exitCode: number | null = null;

  constructor(opened: SessionOpened, link: SessionLink) {
    this.opened = opened;
    this.#link = link;
    this.closed = link.closed.then((closed) => {
      this.#abort(new DoorwardError({ code: "ABORTED", message: "The session was closed" }));
      return this.#end ?? closed;
    });
  }

  /** Aborts with the reason when the session is cut or closed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the session because of an error: what the peer sends is dropped from now on, and its link is gone soon. */
  cut(error: DoorwardError, end: SessionEnd = closeOf(error)): boolean {
    return LiveSession.cutAll([[this, error, end]]) === 1;
  }

  /** Ends sessions, and answers how many of them were not over yet. Every peer is told before any door ends its work. */
  static cutAll(sessions: Iterable<readonly [LiveSession, DoorwardError, SessionEnd?]>): number {
    const told = [...sessions].filter(([session, error, end]) => session.#disconnect(error, end));
    for (const [session, error] of told) session.#abort(error);
    return told.length;
  }

  #disconnect(error: DoorwardError, end: SessionEnd = closeOf(error)): boolean {
    if (this.#end !== undefined || this.signal.aborted) return false;
    // Who has left before was not thrown out: a client that closes and then takes its own grant back does just that.
    if (!this.#link.leaving) this.#end = end;
    this.#link.cut(error, end);
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
    if (record.type === "forward") return;
    if (record.type === "terminal" && record.event !== "exited") return;
    if (record.type === "tool-call" && record.exitCode === null) return;
    this.#exitCode = record.exitCode;
  }

  /** Looks whether anybody is still there, and ends the session when nobody is. */
  probe(): void {
    const found = this.#link.probe();
    if (found instanceof DoorwardError) this.cut(found);
    else if (found !== undefined) this.cut(unused(), found);
  }

  /** The record of its end. */
  closedRecord(end: SessionEnd): SessionClosed {
    const bytes = this.#link.bytes;
    return {
      opened: this.opened,
      durationMs: Math.round(performance.now() - this.#began),
      bytesIn: bytes.in,
      bytesOut: bytes.out,
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

function unused(): DoorwardError {
  return new DoorwardError({ code: "ABORTED", message: "The session ended: nobody used it for a while" });
}
