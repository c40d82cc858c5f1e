import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { EGRESS_PORT, EGRESS_PORT_PROTOCOL, type GuestHello } from "@doorward/guest";
import type { Logger } from "pino";
import { closeAbruptly } from "./abrupt-close.ts";
import { keepHalfOpen } from "./half-open.ts";
import { IntruderLimit } from "./intruder-limit.ts";
import { openMachinePort } from "./machine-port.ts";
import { prepareSocketOptions, setSocketOption } from "./socket-option.ts";

/** Connections out of one machine that are carried at once. */
export const MAX_EGRESS = 512;
/** How long a guest that reconnects after a restart of the bridge is waited for, before its port is left to it. */
const PORT_TIMEOUT_MS = 30_000;
/** What a machine may do to its way out before it is a flood, and for how long its port is the guest's then. */
export interface FloodLimits {
  /** Connections, carried or refused, that are put up with in one second. */
  readonly perSecond: number;
  readonly pauseMs: number;
}

const FLOOD_LIMITS: FloodLimits = { perSecond: 2000, pauseMs: 60_000 };
/**
 * What the kernel keeps for a program that does not read yet (it doubles that). Left to itself it lets 4 MiB gather, which
 * the program then finds in no cache; with room for one segment of loopback (64 KiB) alone, a transfer creeps.
 */
const UNREAD_BYTES = 524_288;

/** What a machine's connections out need of the link to its guest. */
export interface EgressLink {
  readonly log: Logger;
  /** Ends when the link is closed. */
  readonly signal: AbortSignal;
  ready(signal: AbortSignal): Promise<GuestHello>;
  /** Tells the guest whether to serve the egress port; nothing while it is away. */
  serveByGuest(listen: boolean): void;
  /** Keeps a socket to be destroyed when the link is closed. */
  keep(socket: Socket): void;
  /** Called when the machine floods its way out. */
  flooded(): void;
}

/** Connections out of one machine, whether they come to its port or its guest hands them on; bounded in number and rate. */
export class MachineEgress implements Disposable {
  readonly #link: EgressLink;
  readonly #live = new Set<Socket>();
  readonly #rate: IntruderLimit;
  readonly #pauseMs: number;
  #listener: ((stream: Duplex) => void) | undefined;
  /** The machine's egress port, where this process serves it. */
  #port: Server | undefined;
  #pid: number | undefined;
  /** Goes up when the port changes hands. */
  #turn = 0;
  #pause: NodeJS.Timeout | undefined;

  constructor(link: EgressLink, { perSecond, pauseMs }: FloodLimits = FLOOD_LIMITS) {
    this.#link = link;
    this.#rate = new IntruderLimit(perSecond);
    this.#pauseMs = pauseMs;
  }

  /** Whether this process serves the machine's port. */
  get served(): boolean {
    return this.#port !== undefined;
  }

  /** Hands each connection to a listener, one at a time. */
  listen(listener: (stream: Duplex) => void): Disposable {
    this.#listener = listener;
    return {
      [Symbol.dispose]: () => {
        if (this.#listener === listener) this.#listener = undefined;
      },
    };
  }

  /** Serves the port from this process, in the network of a process of the machine; else leaves it to the guest. */
  async takePort(pid: number): Promise<void> {
    const { signal, log } = this.#link;
    this.#pid = pid;
    if (this.#port !== undefined) return;
    const turn = (this.#turn += 1);
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(PORT_TIMEOUT_MS)]);
      const { protocol } = await this.#link.ready(within);
      if (protocol < EGRESS_PORT_PROTOCOL) return;
      prepareSocketOptions();
      const port = await openMachinePort({
        pid,
        port: EGRESS_PORT,
        release: () => this.#link.serveByGuest(false),
        accept: (socket) => this.#arrived(socket),
        signal,
      });
      if (turn === this.#turn) this.#port = port;
      else {
        // Left to the guest while it was being opened.
        port.close();
        this.#link.serveByGuest(true);
      }
    } catch (error) {
      log.warn({ err: error }, "the guest serves the machine's egress port, which is slower");
      this.#leavePort();
    }
  }

  /**
   * Takes one connection out of the machine. Who sent the hello does not matter: a program that talks to the guest's
   * socket by itself gets what the guest's port would give it. Too many are no fault (a package manager may open
   * hundreds), a flood is.
   */
  carry(socket: Socket): void {
    const listener = this.#listener;
    if (this.#rate.exceeded()) {
      socket.destroy();
      this.#leavePort();
      this.#pauseAfterFlood();
      this.#link.flooded();
    } else if (listener === undefined || this.#live.size >= MAX_EGRESS) {
      this.#link.log.debug({ live: this.#live.size, served: listener !== undefined }, "egress refused");
      socket.destroy();
    } else {
      this.#live.add(socket);
      socket.once("close", () => this.#live.delete(socket));
      keepHalfOpen(socket);
      listener(socket);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#pause);
    this.#port?.close();
  }

  /** What served the port before the flood serves it again when it is long over. */
  #pauseAfterFlood(): void {
    clearTimeout(this.#pause);
    const pid = this.#pid;
    if (pid === undefined || this.#link.signal.aborted) return;
    this.#pause = setTimeout(() => void this.takePort(pid), this.#pauseMs).unref();
  }

  /** A program of the machine at the port that this process serves. */
  #arrived(socket: Socket): void {
    this.#link.keep(socket);
    setSocketOption(socket, "sendBuffer", UNREAD_BYTES);
    if (closeAbruptly(socket)) this.carry(socket);
    else socket.destroy();
  }

  /** The guest serves the port from now on. */
  #leavePort(): void {
    this.#turn += 1;
    this.#port?.close();
    this.#port = undefined;
    this.#link.serveByGuest(true);
  }
}
