import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { DoorwardError } from "@doorward/contracts";

/** The machine that a connection comes from. */
export interface EgressMachine {
  readonly id: string;
  readonly name: string;
}

/** What a program in a machine asks to reach, as the proxy read it from the wire. */
export interface EgressTarget {
  readonly machine: EgressMachine;
  /** Lower-case ASCII name without a trailing dot, or an address as it was written (which rules never name). */
  readonly host: string;
  readonly port: number;
  /** How it asked. */
  readonly via: "connect" | "http" | "socks5" | "asked";
}

/** A permission to reach one target now; it ends when the rule behind it does. */
export interface EgressPermit {
  readonly target: EgressTarget;
  /** Which rule allowed it, in words for people and evidence: `preset npm`, `profile default: *.example.com`, `allowed until …`. */
  readonly rule: string;
  readonly tls: "blind" | "open";
  /** HTTP methods and path prefixes that are allowed where requests are read; null for all. */
  readonly methods: readonly string[] | null;
  readonly paths: readonly string[] | null;
  /** Differs when the rule behind it lets something else be done, in a range of addresses too. */
  readonly effect: string;
  /** PEM of further authorities that the far side's certificate may come from; null for the host's own set. */
  readonly ca: string | null;
}

/** The way out as the proxy front sees it: decide, dial what was decided, account for it. */
export interface EgressGate {
  /**
   * Decides about a target; waits for the operator where the policy says so. Throws a DenialError (EGRESS_DENIED and its
   * kin) whose hint is the command that would allow it.
   */
  decide(target: EgressTarget, signal: AbortSignal): Promise<EgressPermit>;
  /**
   * Resolves the host once, refuses when any of its addresses is special and not named by the rule, and connects to an
   * address that it checked. Throws EGRESS_ADDRESS_DENIED, EGRESS_UNRESOLVED or EGRESS_UNREACHABLE.
   */
  dial(permit: EgressPermit, signal: AbortSignal): Promise<EgressDialled>;
  /**
   * Accounts for a live connection until disposed; `cut` is called when its rule is narrowed, its machine ends or a cap
   * is passed. Throws RATE_LIMITED when the machine has too many.
   */
  track(permit: EgressPermit, cut: (reason: DoorwardError) => void): EgressConnection;
  /**
   * Counts what the proxy itself refused: at a host that was decided about, or, with null, before a host was named that
   * could be read.
   */
  refused(machine: EgressMachine, target: EgressTarget | null, error: DoorwardError): void;
}

/** A socket to the far side, and the address that was checked and dialled. */
export interface EgressDialled {
  readonly socket: Socket;
  readonly address: string;
}

/** One live connection in the books: evidence, `egress watch` and caps read them. */
export interface EgressConnection extends Disposable {
  /** The address that was dialled. */
  dialled(address: string): void;
  /** Bytes that left the machine. */
  sent(bytes: number): void;
  /** Bytes that came back. */
  received(bytes: number): void;
  /** Name of a secret whose value was put into a request. */
  usedSecret(name: string): void;
  /** One request of an opened host; `path` is kept only where the operator opened the host by rule. */
  request(method: string, path: string, status: number): void;
  /** Why it failed, as an error code; absent for a connection that ended in order. */
  failed(code: string): void;
}

/** Serves the proxy protocols on one connection that a machine's guest handed over: HTTP CONNECT, absolute-form HTTP, SOCKS5. */
export interface EgressFront {
  serve(stream: Duplex, machine: EgressMachine, signal: AbortSignal): Promise<void>;
}

/** A secret that may be put into one header of requests to one host. */
export interface BoundSecret {
  readonly name: string;
  /** Header in lower case, e.g. `authorization` or `x-api-key`. */
  readonly header: string;
  /** What the machine has in place of the value. */
  readonly placeholder: string;
  /** The value; read at the moment of use, never kept. */
  value(): Promise<string>;
}

/** Which secrets are bound to a host of a machine; a host with one is opened, whatever its rule says. */
export interface SecretBindings {
  boundTo(machine: EgressMachine, host: string, port: number): readonly BoundSecret[];
}
