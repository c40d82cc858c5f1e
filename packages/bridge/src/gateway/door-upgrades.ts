import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { DoorwardError, toDoorwardError, type HostInterfaceGrant, type Operation } from "@doorward/contracts";
import type { DoorHost, DoorSession } from "@doorward/doors";
import type { Logger } from "pino";
import { WebSocketServer, type WebSocket } from "ws";
import type { GatewayLimits } from "./config.ts";
import { newCorrelationId, newSessionId } from "./correlation.ts";
import type { Denials } from "./denials.ts";
import {
  judgeHandshake,
  type AcceptedHandshake,
  type Handshake,
  type HandshakeOptions,
} from "./handshake.ts";
import { LiveSession } from "./live-session.ts";
import type {
  ApprovalsPort,
  ConnectionGrant,
  GatewayEvidence,
  ListenerKind,
  SessionOpened,
} from "./ports.ts";
import { publicError } from "./problem.ts";
import type { RequestRules } from "./request-guard.ts";
import { refuseSocket } from "./respond.ts";

/** What serving door sockets takes. */
export interface DoorUpgradesOptions extends HandshakeOptions {
  readonly approvals: ApprovalsPort;
  readonly evidence: GatewayEvidence;
  readonly denials: Denials;
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
  readonly #server: WebSocketServer;

  constructor(options: DoorUpgradesOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.limits.frameBytes,
      handleProtocols: (offered) =>
        [...offered].find((protocol) => protocol.startsWith("doorward.")) ?? false,
    });
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
    if (caller.kind === "grant")
      return { ...accepted, grant: caller.grant, connection: undefined, correlationId };
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
    this.#server.handleUpgrade(handshake.request, wire, head, (socket) => {
      upgraded = true;
      void this.#run(this.#openedRecord(handshake, ready), ready, socket, wire);
    });
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
    const began = evidence.sessionOpened(opened);
    const ended = this.#finish(session, ready, began, log);
    sessions.add(session, ended);
    try {
      await began;
    } catch (cause) {
      log.error({ err: cause }, "session refused: its start could not be recorded");
      session.cut(unrecorded(cause));
      return;
    }
    if (session.signal.aborted) return;
    log.info(
      { grant: opened.grant, subject: opened.subject, correlationId: opened.correlationId },
      "session opened",
    );
    await this.#serveDoor(session, ready, socket, log);
  }

  async #serveDoor(session: LiveSession, ready: Ready, socket: WebSocket, log: Logger): Promise<void> {
    try {
      const door = await this.#options.registry.load(ready.place.entry);
      if (session.signal.aborted) return;
      const served = door.open(this.#doorSession(session, ready), socket);
      socket.resume();
      await served;
    } catch (thrown) {
      if (session.signal.aborted) return;
      const error = toDoorwardError(thrown);
      log.warn({ err: error }, "door ended a session with an error");
      session.cut(error);
    }
  }

  #doorSession(session: LiveSession, ready: Ready): DoorSession {
    const { opened } = session;
    return {
      id: opened.session,
      protocol: opened.protocol,
      machine: opened.machine,
      subject: opened.subject,
      grantId: opened.grant,
      kind: opened.subject.startsWith("operator:") ? "operator" : "agent",
      operations: new Set(ready.grant.operations),
      spec: ready.machine.terminal,
      signal: session.signal,
      host: this.#host(session),
    };
  }

  #host(session: LiveSession): DoorHost {
    const { grants, machines, evidence, approvals } = this.#options;
    const { opened, signal: over } = session;
    return {
      check: (operation) => {
        over.throwIfAborted();
        try {
          grants.check(opened.grant, operation, opened.machine.id);
        } catch (thrown) {
          throw this.#refuseOperation(session, operation, toDoorwardError(thrown));
        }
      },
      dial: (open, signal) => machines.dial(opened.machine.id, open, AbortSignal.any([signal, over])),
      record: (record) => {
        session.observe(record);
        return evidence.sessionEvent(opened, record);
      },
      approve: (request, signal) => approvals.approve(opened, request, AbortSignal.any([signal, over])),
      onNotice: (listener) => session.onNotice(listener),
    };
  }

  /** An operation that is not granted leaves the session open; a grant that is over ends it at once. */
  #refuseOperation(session: LiveSession, operation: Operation, error: DoorwardError): DoorwardError {
    const { opened } = session;
    void this.#options.denials.note(error, {
      caller: { kind: "operator", subject: opened.subject },
      grant: opened.grant,
      attempted: "door.operation",
      door: opened.door,
      operation,
      machine: opened.machine,
      correlationId: opened.correlationId,
    });
    if (error.entry.status === 401) session.cut(error);
    return error;
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
    return {
      session: newSessionId(),
      grant: ready.grant.grantId,
      subject: ready.grant.subject,
      machine: { id: ready.machine.id, name: ready.machine.name },
      operations: ready.place.endpoint.operations.filter((operation) =>
        ready.grant.operations.includes(operation),
      ),
      door: ready.place.entry.id,
      protocol: ready.place.endpoint.protocol,
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
