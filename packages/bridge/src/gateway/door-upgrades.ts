import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { DoorwardError, toDoorwardError, type HostInterfaceGrant } from "@doorward/contracts";
import type { Logger } from "pino";
import { WebSocketServer, type WebSocket } from "ws";
import type { GatewayLimits } from "./config.ts";
import { newCorrelationId, newSessionId } from "./correlation.ts";
import {
  guardGranted,
  judgeHandshake,
  type AcceptedHandshake,
  type Handshake,
  type HandshakeOptions,
} from "./handshake.ts";
import { LiveSession } from "./live-session.ts";
import type { ConnectionGrant, ListenerKind, SessionOpened } from "./ports.ts";
import { publicError } from "./problem.ts";
import type { RequestRules } from "./request-guard.ts";
import { refuseSocket } from "./respond.ts";
import { doorSessionOf, type SessionHostOptions } from "./session-host.ts";

/** What serving door sockets takes. */
export interface DoorUpgradesOptions extends HandshakeOptions, SessionHostOptions {
  readonly limits: GatewayLimits;
  readonly log: Logger;
}

interface Ready extends AcceptedHandshake {
  readonly grant: HostInterfaceGrant;
  /** Grant minted for this connection alone, which ends with it. */
  readonly connection: ConnectionGrant | undefined;
  readonly correlationId: string;
}

/** Turns accepted handshakes into sessions at doors, recorded before they begin and after they end. */
export class DoorUpgrades {
  readonly #options: DoorUpgradesOptions;
  /** By the size of their messages, which is fixed for each of them. */
  readonly #servers = new Map<number, WebSocketServer>();

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
    const { messageBytes = this.#options.limits.frameBytes } = ready.place.endpoint;
    this.#serverOf(messageBytes).handleUpgrade(handshake.request, wire, head, (socket) => {
      upgraded = true;
      void this.#run(this.#openedRecord(handshake, ready), ready, socket, wire);
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
      handleProtocols: (offered) =>
        [...offered].find((protocol) => protocol.startsWith("doorward.")) ?? false,
    });
    this.#servers.set(messageBytes, server);
    return server;
  }

  async #run(opened: SessionOpened, ready: Ready, socket: WebSocket, wire: Duplex): Promise<void> {
    socket.pause();
    const { limits, sessions, evidence } = this.#options;
    const session = new LiveSession({ opened, socket, wire, cutMs: limits.cutMs });
    const log = this.#options.log.child({
      session: opened.session,
      machine: opened.machine,
      door: opened.door,
    });
    const began = Promise.resolve().then(() => evidence.sessionOpened(opened));
    const ended = this.#finish(session, ready, began, log);
    sessions.add(session, ended);
    try {
      await began;
    } catch (cause) {
      log.error({ err: cause }, "session refused: its start could not be recorded");
      session.cut(unrecorded(cause));
      return;
    }
    if (session.signal.aborted || !this.#stillGranted(session, ready)) return;
    log.info(
      { grant: opened.grant, subject: opened.subject, correlationId: opened.correlationId },
      "session opened",
    );
    await this.#serveDoor(session, ready, socket, log);
  }

  /** A grant that ended between the handshake and the registration of the session cut nothing, so it is asked again. */
  #stillGranted(session: LiveSession, ready: Ready): boolean {
    try {
      const { place, grant, machine } = ready;
      guardGranted(grant.grantId, machine.id, place.endpoint.operations, this.#options.grants);
      return true;
    } catch (thrown) {
      session.cut(toDoorwardError(thrown));
      return false;
    }
  }

  async #serveDoor(session: LiveSession, ready: Ready, socket: WebSocket, log: Logger): Promise<void> {
    try {
      const door = await this.#options.registry.load(ready.place.entry);
      if (session.signal.aborted) return;
      const served = door.open(doorSessionOf(session, ready, this.#options), socket);
      socket.resume();
      await served;
    } catch (thrown) {
      if (session.signal.aborted) return;
      const error = toDoorwardError(thrown);
      log.warn({ err: error }, "door ended a session with an error");
      session.cut(error);
    }
  }

  /** What the end of a session has to do: end its implicit grant, then record how it went. */
  async #finish(session: LiveSession, ready: Ready, began: Promise<void>, log: Logger): Promise<void> {
    const end = await session.closed;
    this.#endConnection(ready);
    const recorded = await began.then(
      () => true,
      () => false,
    );
    log.info({ code: end.code, reason: end.reason }, "session closed");
    if (!recorded) return;
    try {
      await this.#options.evidence.sessionClosed(session.closedRecord(end));
    } catch (cause) {
      log.error({ err: cause }, "end of a session could not be recorded");
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
    const { caller, listener, machine, target, door } = handshake;
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
    refuseSocket(wire, publicError(error), correlationId);
  }

  #openedRecord(handshake: Handshake, ready: Ready): SessionOpened {
    const door = ready.place.entry.id;
    return {
      session: newSessionId(),
      grant: ready.grant.grantId,
      subject: ready.grant.subject,
      machine: { id: ready.machine.id, name: ready.machine.name },
      operations: ready.grant.operations.filter((operation) => operation.startsWith(`${door}.`)),
      door,
      protocol: ready.place.endpoint.protocol ?? ready.place.endpoint.segment,
      listener: handshake.listener,
      origin: handshake.request.headers.origin ?? null,
      correlationId: ready.correlationId,
      at: new Date().toISOString(),
    };
  }
}

function unrecorded(cause: unknown): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_UNWRITABLE",
    message: "Cannot open the door: the session's start could not be recorded",
    cause,
  });
}
