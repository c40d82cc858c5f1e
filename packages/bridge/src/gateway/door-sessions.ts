import { DenialError, DoorwardError } from "@doorward/contracts";
import type { DoorNotice } from "@doorward/doors";
import type { GatewayLimits } from "./config.ts";
import { LiveSession } from "./live-session.ts";
import type { SessionOpened } from "./ports.ts";

/** All open sessions at doors, of sockets and of plain requests: their limits, their liveness, and the cutting of those whose permission ended. */
export class DoorSessions implements AsyncDisposable {
  readonly #limits: GatewayLimits;
  readonly #sessions = new Set<LiveSession>();
  readonly #ended = new Set<Promise<void>>();
  readonly #probe: NodeJS.Timeout;
  #stopping = false;

  constructor(limits: GatewayLimits) {
    this.#limits = limits;
    this.#probe = setInterval(() => {
      for (const session of this.#sessions) session.probe();
    }, limits.pingMs).unref();
  }

  /** Number of open sessions. */
  get count(): number {
    return this.#sessions.size;
  }

  /** Open sessions, oldest first. */
  list(): readonly SessionOpened[] {
    return [...this.#sessions].map((session) => session.opened);
  }

  /** Open sessions of a grant. */
  listOf(grantId: string): readonly SessionOpened[] {
    return this.list().filter((opened) => opened.grant === grantId);
  }

  /** Refuses another session when the bridge or the grant has as many as it may. */
  guardLimits(grantId: string | null): void {
    if (this.#stopping) throw stoppingError();
    const reserved = grantId === null ? 0 : this.#limits.operatorSockets;
    if (this.count >= this.#limits.sockets - reserved)
      throw tooMany(`the bridge serves ${String(this.count)} already`);
    const own = grantId === null ? 0 : this.listOf(grantId).length;
    if (own >= this.#limits.socketsPerGrant) throw tooMany(`the grant has ${String(own)} already`);
  }

  /** Adds a session until it is closed; `ended` is what its end still has to do. */
  add(session: LiveSession, ended: Promise<void>): void {
    this.#sessions.add(session);
    this.#ended.add(ended);
    void session.closed.then(() => this.#sessions.delete(session));
    void ended.finally(() => this.#ended.delete(ended));
    if (this.#stopping) session.cut(stoppingError(), goingAway);
  }

  /** Cuts every session of these grants; answers how many. */
  closeGrant(grantIds: Iterable<string>, error: DoorwardError): number {
    const grants = new Set(grantIds);
    return this.#cut((session) => grants.has(session.opened.grant), error);
  }

  /** Cuts every session of a machine; answers how many. */
  closeMachine(machineId: string, error: DoorwardError): number {
    return this.#cut((session) => session.opened.machine.id === machineId, error);
  }

  /** Judges every session again and cuts those that are refused; answers how many. */
  rejudge(refusalOf: (opened: SessionOpened) => DoorwardError | undefined): number {
    return LiveSession.cutAll(
      [...this.#sessions].flatMap((session) => {
        const refusal = refusalOf(session.opened);
        return refusal === undefined ? [] : [[session, refusal]];
      }),
    );
  }

  /** Tells everyone at a machine's doors of something; answers how many sessions. */
  warn(machineId: string, notice: DoorNotice): number {
    const told = [...this.#sessions].filter((session) => session.opened.machine.id === machineId);
    for (const session of told) session.notify(notice);
    return told.length;
  }

  /** Cuts all sessions, takes no more, and waits until their ends are recorded. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#probe);
    LiveSession.cutAll([...this.#sessions].map((session) => [session, stoppingError(), goingAway]));
    await Promise.allSettled([...this.#ended]);
  }

  #cut(concerned: (session: LiveSession) => boolean, error: DoorwardError): number {
    return LiveSession.cutAll([...this.#sessions].filter(concerned).map((session) => [session, error]));
  }
}

const goingAway = { code: 1001, reason: "BRIDGE_STOPPING" } as const;

function stoppingError(): DoorwardError {
  return new DoorwardError({
    code: "BRIDGE_STOPPING",
    message: "Cannot keep the door open: the bridge is shutting down",
  });
}

function tooMany(why: string): DenialError {
  return new DenialError({
    code: "RATE_LIMITED",
    rule: "gateway.limits.sockets",
    message: `Cannot open another session at a door: ${why}`,
  });
}
