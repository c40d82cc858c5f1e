import type { IncomingMessage } from "node:http";
import { DoorwardError, toDoorwardError, type ServedGrant } from "@doorward/contracts";
import type { Logger } from "pino";
import { newSessionId } from "./correlation.ts";
import type { DoorPlace } from "./door-registry.ts";
import type { DoorSessions } from "./door-sessions.ts";
import { guardGranted } from "./handshake.ts";
import { LiveSession } from "./live-session.ts";
import type { GatewayEvidence, GatewayMachine, GrantsPort, ListenerKind, SessionOpened } from "./ports.ts";
import type { SessionLink } from "./session-link.ts";

/** What a session begins with. */
export interface SessionStart {
  readonly grant: ServedGrant;
  readonly machine: GatewayMachine;
  readonly place: DoorPlace;
  readonly listener: ListenerKind;
  readonly request: IncomingMessage;
  /** Subprotocol that was agreed; the endpoint's segment where it has none; `http` for plain requests. */
  readonly protocol: string;
  readonly correlationId: string;
}

/** What beginning sessions takes. */
export interface SessionStartOptions {
  readonly grants: GrantsPort;
  readonly evidence: GatewayEvidence;
  readonly sessions: DoorSessions;
  readonly log: Logger;
}

/** A session that begins. */
export interface Begun {
  readonly session: LiveSession;
  readonly log: Logger;
  /** Resolves once its start is durable: whether it may go on, or was cut meanwhile. It never rejects. */
  readonly started: Promise<boolean>;
}

/**
 * Begins a session: it is registered at once, so that it can be cut from now on, and recorded before it may go on and
 * after its end. `onClosed` is called when it is closed, before its end is recorded.
 */
export function beginSession(
  start: SessionStart,
  link: SessionLink,
  options: SessionStartOptions,
  onClosed: () => void,
): Begun {
  const { sessions, evidence } = options;
  const opened = openedRecord(start);
  const session = new LiveSession(opened, link);
  const { session: id, machine, door } = opened;
  const log = options.log.child({ session: id, machine, door });
  const recorded = Promise.resolve().then(() => evidence.sessionOpened(opened));
  sessions.add(session, finish(session, recorded, { evidence, log, onClosed }));
  return { session, log, started: started(session, recorded, start, { ...options, log }) };
}

async function started(
  session: LiveSession,
  recorded: Promise<void>,
  { grant, machine, place }: SessionStart,
  { grants, log }: SessionStartOptions,
): Promise<boolean> {
  const { subject, correlationId } = session.opened;
  try {
    await recorded;
  } catch (cause) {
    log.error({ err: cause }, "session refused: its start could not be recorded");
    session.cut(unrecorded(cause));
    return false;
  }
  if (session.signal.aborted) return false;
  try {
    // A grant that ended between the handshake and the registration of the session cut nothing, so it is asked again.
    guardGranted(grant.grantId, machine.id, place.endpoint.operations, grants);
  } catch (thrown) {
    session.cut(toDoorwardError(thrown));
    return false;
  }
  log.debug({ grant: grant.grantId, subject, correlationId }, "session opened");
  return true;
}

/** What the end of a session has to do: release what it held, then record how it went. */
async function finish(
  session: LiveSession,
  recorded: Promise<void>,
  { evidence, log, onClosed }: { evidence: GatewayEvidence; log: Logger; onClosed: () => void },
): Promise<void> {
  const end = await session.closed;
  onClosed();
  const began = await recorded.then(
    () => true,
    () => false,
  );
  log.debug({ code: end.code, reason: end.reason }, "session closed");
  if (!began) return;
  try {
    await evidence.sessionClosed(session.closedRecord(end));
  } catch (cause) {
    log.error({ err: cause }, "end of a session could not be recorded");
  }
}

function openedRecord({ grant, machine, place, listener, request, ...start }: SessionStart): SessionOpened {
  const door = place.entry.id;
  return {
    session: newSessionId(),
    grant: grant.grantId,
    subject: grant.subject,
    machine: { id: machine.id, name: machine.name },
    operations: grant.operations.filter((operation) => operation.startsWith(`${door}.`)),
    door,
    protocol: start.protocol,
    listener,
    origin: request.headers.origin ?? null,
    correlationId: start.correlationId,
    at: new Date().toISOString(),
  };
}

function unrecorded(cause: unknown): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_UNWRITABLE",
    message: "Cannot open the door: the session's start could not be recorded",
    cause,
  });
}
