import { Agent, type ClientRequestArgs } from "node:http";
import { PassThrough, type Duplex } from "node:stream";
import { connect, createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { isIP } from "node:net";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { EgressGate, EgressPermit } from "../ports.ts";

/** Shorter than the five seconds after which common servers close an idle connection, so that few requests meet a closed one. */
const IDLE_MS = 4000;
const MAX_IDLE = 16;
const MANY = 64;
/** How long one look at a far side's certificates is good for. */
const VERIFIED_MS = 3_600_000;

/** Connections to far sides, by machine, target, rule and authorities; none is ever shared between machines. */
export interface FarPool {
  /** The agent for requests under this permit; every new connection of it is dialled anew by the gate. */
  agentFor(permit: EgressPermit, scheme: "http" | "https", signal: AbortSignal): FarAgent;
}

/** Makes the pool of one front. */
export function farPool(gate: EgressGate): FarPool {
  const agents = new Map<string, FarAgent>();
  const contexts = new Map<string, SecureContext>();
  const contextOf = (ca: string): SecureContext => {
    const known = contexts.get(ca);
    if (known !== undefined) return known;
    if (contexts.size >= MANY) contexts.clear();
    const made = createSecureContext({ ca: [...rootCertificates, ca] });
    contexts.set(ca, made);
    return made;
  };
  return {
    agentFor(permit, scheme, signal) {
      const { machine, host, port } = permit.target;
      const key = JSON.stringify([machine.id, scheme, host, port, permit.rule, permit.ca, permit.effect]);
      if (agents.size > MANY) dropUnused(agents);
      const agent = agents.get(key) ?? new FarAgent(gate, scheme, contextOf);
      agents.set(key, agent);
      agent.prepare(permit, signal);
      return agent;
    },
  };
}

function dropUnused(agents: Map<string, FarAgent>): void {
  for (const [key, agent] of agents) {
    const counts = [agent.sockets, agent.freeSockets, agent.requests].map((of) => Object.keys(of).length);
    if (counts.every((count) => count === 0)) agents.delete(key);
  }
}

/** An HTTP agent whose connections the gate dials. */
export class FarAgent extends Agent {
  readonly #gate: EgressGate;
  readonly #scheme: "http" | "https";
  readonly #contextOf: (ca: string) => SecureContext;
  readonly #addresses = new WeakMap<Duplex, string>();
  /** Of the last connection: the next one needs no certificates again, as they were checked for this very target. */
  #session: Buffer | undefined;
  #verifiedAt = -Infinity;
  #next: { readonly permit: EgressPermit; readonly signal: AbortSignal } | undefined;

  constructor(gate: EgressGate, scheme: "http" | "https", contextOf: (ca: string) => SecureContext) {
    super({ keepAlive: true, maxFreeSockets: MAX_IDLE, timeout: IDLE_MS });
    this.#gate = gate;
    this.#scheme = scheme;
    this.#contextOf = contextOf;
  }

  /** Says under which permit the next connection is dialled; call it right before the request is made. */
  prepare(permit: EgressPermit, signal: AbortSignal): void {
    this.#next = { permit, signal };
  }

  /** The address that a connection of this agent was dialled to. */
  addressOf(connection: Duplex): string | undefined {
    return this.#addresses.get(connection);
  }

  /** What node:http calls for a new connection; it answers through the callback. */
  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, connection: Duplex) => void,
  ): undefined {
    const next = this.#next;
    if (next === undefined || done === undefined) throw new Error("a far connection has no permit");
    this.#dial(next.permit, next.signal).then(
      (connection) => {
        done(null, connection);
      },
      (error: unknown) => {
        // The agent looks at the connection only when there is no error.
        done(toDoorwardError(error), new PassThrough());
      },
    );
    return undefined;
  }

  async #dial(permit: EgressPermit, signal: AbortSignal): Promise<Duplex> {
    const { socket, address } = await this.#gate.dial(permit, signal);
    const connection = this.#scheme === "http" ? socket : await this.#secure(permit, socket, signal);
    this.#addresses.set(connection, address);
    return connection;
  }

  #stillVerified(): boolean {
    return performance.now() - this.#verifiedAt < VERIFIED_MS;
  }

  #secure(permit: EgressPermit, socket: Duplex, signal: AbortSignal): Promise<Duplex> {
    const { host } = permit.target;
    return new Promise((resolve, reject) => {
      const secured = connect({
        socket,
        host,
        ...(isIP(host) === 0 && { servername: host }),
        ...(permit.ca !== null && { secureContext: this.#contextOf(permit.ca) }),
        ...(this.#session !== undefined && this.#stillVerified() && { session: this.#session }),
        ALPNProtocols: ["http/1.1"],
        // Said, so that no variable in the bridge's environment turns the check off.
        rejectUnauthorized: true,
        minVersion: "TLSv1.2",
      });
      secured.on("session", (session: Buffer) => {
        this.#session = session;
      });
      const fail = (cause: unknown): void => {
        this.#session = undefined;
        signal.removeEventListener("abort", fail);
        secured.destroy();
        socket.destroy();
        reject(tlsFailed(host, cause));
      };
      signal.addEventListener("abort", fail, { once: true });
      secured.once("error", fail);
      secured.once("secureConnect", () => {
        signal.removeEventListener("abort", fail);
        secured.off("error", fail);
        if (!secured.isSessionReused()) this.#verifiedAt = performance.now();
        resolve(secured);
      });
      if (signal.aborted) fail(signal.reason);
    });
  }
}

function tlsFailed(host: string, cause: unknown): DoorwardError {
  const why = cause instanceof Error ? cause.message : "the request was given up";
  return new DoorwardError({
    code: "EGRESS_UNREACHABLE",
    message: `Cannot open TLS to "${host}": ${why}`,
    hint: "A private authority needs a rule with its ca under egress.allow in policy.yaml",
    cause,
  });
}
