import type { IncomingMessage, ServerResponse } from "node:http";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { Door, DoorSession } from "@doorward/doors";
import type { Logger } from "pino";
import type { GatewayLimits } from "./config.ts";
import { newCorrelationId } from "./correlation.ts";
import {
  guardGranted,
  judgeDoorRequest,
  servesRequests,
  type AcceptedRequest,
  type Handshake,
  type HandshakeOptions,
} from "./handshake.ts";
import type { LiveSession } from "./live-session.ts";
import type { ListenerKind } from "./ports.ts";
import { publicError } from "./problem.ts";
import type { RequestRules } from "./request-guard.ts";
import { RequestLink } from "./request-link.ts";
import { challengeHeaders } from "./resource-metadata.ts";
import { COMMON_HEADERS, sendProblem } from "./respond.ts";
import { doorSessionOf, type SessionHostOptions } from "./session-host.ts";
import { beginSession } from "./session-start.ts";

/** What serving plain requests at doors takes. */
export interface DoorRequestsOptions extends HandshakeOptions, SessionHostOptions {
  readonly limits: GatewayLimits;
  readonly log: Logger;
}

/** One session of plain requests. */
interface Kept {
  readonly session: LiveSession;
  readonly link: RequestLink;
  readonly started: Promise<boolean>;
  readonly door: Promise<Door>;
  readonly doorSession: DoorSession;
}

/**
 * Serves plain requests at doors. All requests of one grant at one endpoint are one session: it begins with the first,
 * and ends when nobody asked anything for a while, or when it is cut.
 */
export class DoorRequests {
  readonly #options: DoorRequestsOptions;
  readonly #kept = new Map<string, Kept>();

  constructor(options: DoorRequestsOptions) {
    this.#options = options;
  }

  /** Whether a request is for a door that serves plain requests. */
  serves(request: IncomingMessage): boolean {
    return servesRequests(request.url ?? "", this.#options.registry);
  }

  /** Serves one request; never throws. */
  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    listener: ListenerKind,
    rules: RequestRules,
  ): Promise<void> {
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
      const accepted = judgeDoorRequest(handshake, this.#options);
      await this.#answer(handshake, accepted, response, correlationId);
    } catch (thrown) {
      await this.#refuse(handshake, response, toDoorwardError(thrown), correlationId);
    }
  }

  async #answer(
    handshake: Handshake,
    accepted: AcceptedRequest,
    response: ServerResponse,
    correlationId: string,
  ): Promise<void> {
    const { session, link, started, door, doorSession } = this.#sessionOf(handshake, accepted, correlationId);
    link.add(handshake.request, response, correlationId);
    if (!(await started)) return;
    const { request: serve } = await door.then((loaded) => ({ request: loaded.request?.bind(loaded) }));
    // The grant may have ended while the session's start was written; a cut session has answered already.
    if (session.signal.aborted) return;
    guardGranted(
      accepted.grant.grantId,
      accepted.machine.id,
      accepted.place.endpoint.operations,
      this.#options.grants,
    );
    if (serve === undefined)
      throw new DoorwardError({ code: "INTERNAL", message: "The door takes no requests" });
    for (const [name, value] of Object.entries(COMMON_HEADERS)) response.setHeader(name, value);
    response.setHeader("x-correlation-id", correlationId);
    await serve(doorSession, handshake.request, response).catch((thrown: unknown) => {
      if (!session.signal.aborted) throw thrown;
    });
  }

  /** The session that a request belongs to; a page of an allowed origin never shares one with a program. */
  #sessionOf(handshake: Handshake, accepted: AcceptedRequest, correlationId: string): Kept {
    const { grant, machine, place } = accepted;
    const { listener, request } = handshake;
    const origin = request.headers.origin ?? null;
    const key = JSON.stringify([grant.grantId, machine.id, place.endpoint.segment, listener, origin]);
    const known = this.#kept.get(key);
    if (known !== undefined && !known.session.signal.aborted) return known;
    this.#options.sessions.guardLimits(grant.grantId);
    const kept = this.#begin(handshake, accepted, correlationId, () => {
      if (this.#kept.get(key) === kept) this.#kept.delete(key);
    });
    this.#kept.set(key, kept);
    return kept;
  }

  #begin(
    { request, listener }: Handshake,
    accepted: AcceptedRequest,
    correlationId: string,
    onClosed: () => void,
  ): Kept {
    const { registry, limits } = this.#options;
    const door = registry.load(accepted.place.entry);
    let busy = (): boolean => false;
    const link = new RequestLink(limits, () => busy());
    const start = { ...accepted, request, listener, protocol: "http", correlationId };
    const { session, started } = beginSession(start, link, this.#options, onClosed);
    const doorSession = doorSessionOf(session, { ...accepted, request, operator: false }, this.#options);
    door.then(
      (loaded) => (busy = () => loaded.busy?.(doorSession) === true),
      () => undefined,
    );
    return { session, link, started, door, doorSession };
  }

  async #refuse(
    { request, caller, listener, machine, target, door }: Handshake,
    response: ServerResponse,
    error: DoorwardError,
    correlationId: string,
  ): Promise<void> {
    const { denials, log } = this.#options;
    const err = error.code === "INTERNAL" ? error : undefined;
    const level = err === undefined ? "info" : "error";
    log[level]({ err, code: error.code, listener, door, correlationId }, "request at a door refused");
    await denials.note(error, {
      caller,
      attempted: "door.open",
      machine: machine ?? null,
      door,
      target,
      correlationId,
    });
    if (response.destroyed || response.writableEnded) return;
    if (response.headersSent) response.destroy();
    else sendProblem(request, response, publicError(error), correlationId, challengeHeaders(error, request));
  }
}
