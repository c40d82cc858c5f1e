import type { Duplex } from "node:stream";
import type { GuestHealth, GuestHello, StreamOpen, TerminalInfo } from "./protocol.ts";

/** Opens streams to the guest of one machine. */
export interface GuestDialer {
  /** Opens one stream; its first frame from the guest is `started` or `failed`. GUEST_UNREACHABLE when the guest is away. */
  dial(open: StreamOpen, signal: AbortSignal): Promise<Duplex>;
}

/** The bridge's link to the guest of one machine; survives the guest's reconnects until it is disposed. */
export interface GuestLink extends GuestDialer, AsyncDisposable {
  /** Waits until the guest's control connection stands; answers what the guest says of itself. */
  ready(signal: AbortSignal): Promise<GuestHello>;
  /** Asks the guest how it is. */
  health(signal: AbortSignal): Promise<GuestHealth>;
  /** Asks the guest for its terminals. */
  terminals(signal: AbortSignal): Promise<readonly TerminalInfo[]>;
  /**
   * Hands on each connection that a program of the machine makes to the way out: raw bytes, paused, with half-close.
   * `end()` is an end in good order there, `destroy()` a reset. One listener at a time; without one they are refused.
   */
  onEgress(listener: (stream: Duplex) => void): Disposable;
  /**
   * Serves the machine's egress port from this process, in the network namespace of a process of the machine; without
   * success the guest goes on to serve it. Resolves when either is so, and never rejects.
   */
  takeEgressPort(pid: number): Promise<void>;
  /** Calls back each time a control connection stands, until disposed. */
  onReady(listener: (hello: GuestHello) => void): Disposable;
  /** Calls back each time the control connection ends, until disposed. */
  onLost(listener: () => void): Disposable;
}
