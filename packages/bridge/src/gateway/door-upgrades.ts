import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { toDoorwardError, type DoorwardError, type ServedGrant } from "@doorward/contracts";
import type { Logger } from "pino";
import { WebSocketServer, type WebSocket } from "ws";
import type { GatewayLimits } from "./config.ts";
import { newCorrelationId } from "./correlation.ts";
import {
  judgeHandshake,
  type AcceptedHandshake,
  type Handshake,
  type HandshakeOptions,
} from "./handshake.ts";
import type { LiveSession } from "./live-session.ts";
import type { ConnectionGrant, ListenerKind } from "./ports.ts";
import { publicError } from "./problem.ts";
import type { RequestRules } from "./request-guard.ts";
import { challengeHeaders } from "./resource-metadata.ts";
import { refuseSocket } from "./respond.ts";
import { doorSessionOf, type SessionHostOptions } from "./session-host.ts";
import { SocketLink } from "./session-link.ts";
import { beginSession } from "./session-start.ts";
import { UnfinishedMessage } from "./unfinished-message.ts";

/** What serving door sockets takes. */
export interface DoorUpgradesOptions extends HandshakeOptions, SessionHostOptions {
  readonly limits: GatewayLimits;
  readonly log: Logger;
}

interface Ready extends AcceptedHandshake {
  readonly grant: ServedGrant;
  /** Grant minted for this connection alone, which ends with it. */
  readonly connection: ConnectionGrant | undefined;
  readonly correlationId: string;
}

/** Turns accepted handshakes into sessions at doors, recorded before they begin and after they end. */
export class DoorUpgrades {
  readonly #options: DoorUpgradesOptions;
  /** By the size of their messages, which is fixed for each of them. */
  readonly #servers = new Map<number, WebSocketServer>();
  /** Subprotocol that each accepted handshake agrees on; none where it is absent. */
  readonly #agreed = new WeakMap<IncomingMessage, string>();

  constructor(options: DoorUpgradesOptions) {
    this.#options = options;
  }

  /** Serves one upgrade; never throws. */
  async serve(
    request: IncomingMessage,
    wire: Duplex,
    head: Buffer,
    listener: ListenerKind,
    rules: RequestRules,
  ): Promise<void> {
    wire.on("error", () => wire.destroy());
    const correlationId = newCorrelationId();
    const handshake: Handshake = {
      request,
      listener,
      rules,
      caller: { kind: "anonymous" },
      machine: undefined,
      target: undefined,
      door: undefined,
    };
    try {
      const accepted = judgeHandshake(handshake, this.#options);
      const ready = await this.#ready(accepted, correlationId);
      this.#upgrade(handshake, ready, wire, head);
    } catch (thrown) {
      await this.#refuse(handshake, wire, toDoorwardError(thrown), correlationId);
    }
  }

  async #ready(accepted: AcceptedHandshake, correlationId: string): Promise<Ready> {
    const { caller, machine, place } = accepted;
    if (caller.kind === "grant") {
      return { ...accepted, grant: caller.grant, connection: undefined, correlationId };
    }
    const connection = await this.#options.grants.mintImplicit({
      subject: caller.subject,
      machine: machine.id,
      operations: place.endpoint.implicit,
    });
    return { ...accepted, grant: connection.grant, connection, correlationId };
  }

  #upgrade(handshake: Handshake, ready: Ready, wire: Duplex, head: Buffer): void {
    let upgraded = false;
    // A handshake that ws refuses, or whose peer has gone, never calls back, but its socket closes.
    wire.once("close", () => {
      if (!upgraded) this.#endConnection(ready);
    });
    if (wire.destroyed) {
      this.#endConnection(ready);
      return;
    }
    const { messageBytes = this.#options.limits.frameBytes, protocol } = ready.place.endpoint;
    if (protocol !== null) this.#agreed.set(handshake.request, protocol);
    this.#serverOf(messageBytes).handleUpgrade(handshake.request, wire, head, (socket) => {
      upgraded = true;
      void this.#run(handshake, ready, socket, wire);
    });
  }

  #serverOf(messageBytes: number): WebSocketServer {
    const known = this.#servers.get(messageBytes);
    if (known !== undefined) return known;
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: messageBytes,
      handleProtocols: (_offered, request) => this.#agreed.get(request) ?? false,
    });
    this.#servers.set(messageBytes, server);
    return server;
  }

  async #run(handshake: Handshake, ready: Ready, socket: WebSocket, wire: Duplex): Promise<void> {
    socket.pause();
    const { endpoint } = ready.place;
    const start = { ...handshake, ...ready, protocol: endpoint.protocol ?? endpoint.segment };
    const link = new SocketLink(socket, wire, this.#options.limits);
    const { session, log, started } = beginSession(start, link, this.#options, () => {
      this.#endConnection(ready);
    });
    UnfinishedMessage.count(socket, wire, {
      bytes: this.#options.bytes.of(ready.grant.grantId),
      messageMs: this.#options.limits.requestMs,
      tooLong: (error) => {
        session.cut(error);
      },
    });
    if (await started) await this.#serveDoor(session, handshake, ready, socket, log);
  }

  async #serveDoor(
    session: LiveSession,
    { request }: Handshake,
    ready: Ready,
    socket: WebSocket,
    log: Logger,
  ): Promise<void> {
    try {
      const door = await this.#options.registry.load(ready.place.entry);
      if (session.signal.aborted) return;
      const operator = ready.caller.kind === "operator";
      const served = door.open(
        doorSessionOf(session, { ...ready, request, operator }, this.#options),
        socket,
      );
      socket.resume();
      await served;
    } catch (thrown) {
      if (session.signal.aborted) return;
      const error = toDoorwardError(thrown);
      log.warn({ err: error }, "door ended a session with an error");
      session.cut(error);
    }
  }

  #endConnection(ready: Ready): void {
    const { connection } = ready;
    if (connection === undefined) return;
    Promise.resolve()
      .then(() => connection.end())
      .catch((cause: unknown) => {
        this.#options.log.error(
          { err: cause, grant: ready.grant.grantId },
          "implicit grant could not be ended",
        );
      });
  }

  async #refuse(
    handshake: Handshake,
    wire: Duplex,
    error: DoorwardError,
    correlationId: string,
  ): Promise<void> {
    const { denials, log } = this.#options;
    const { request, caller, listener, machine, target, door } = handshake;
    log[error.code === "INTERNAL" ? "error" : "info"](
      {
        err: error.code === "INTERNAL" ? error : undefined,
        code: error.code,
        listener,
        door,
        correlationId,
      },
      "upgrade refused",
    );
    await denials.note(error, {
      caller,
      attempted: "door.open",
      machine: machine ?? null,
      door,
      target,
      correlationId,
    });
    refuseSocket(wire, publicError(error), correlationId, challengeHeaders(error, request));
  }
}
