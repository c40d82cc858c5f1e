import type { IncomingMessage } from "node:http";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { GatewayConfig, GatewayLimits } from "./config.ts";
import type { Caller, GrantsPort, ListenerKind } from "./ports.ts";
import { RateLimit } from "./rate-limit.ts";
import { tokenOf } from "./token.ts";

/** Establishes who calls, and how often they may. */
export class Authentication {
  readonly #grants: GrantsPort;
  readonly #operator: Caller;
  readonly #failures: RateLimit;
  readonly #holders: RateLimit;
  readonly #atDoors: RateLimit;
  readonly #operators: RateLimit;
  readonly #anonymous: RateLimit;

  constructor(options: {
    readonly grants: GrantsPort;
    readonly config: GatewayConfig;
    readonly limits: GatewayLimits;
  }) {
    const { limits } = options;
    this.#grants = options.grants;
    this.#operator = { kind: "operator", subject: operatorSubject(options.config.login) };
    this.#failures = new RateLimit({
      capacity: limits.failedTokensPerMinute,
      perSecond: limits.failedTokensPerMinute / 60,
    });
    this.#holders = perSecond(limits.requestsPerSecond);
    this.#atDoors = perSecond(limits.doorRequestsPerSecond);
    this.#operators = perSecond(limits.operatorRequestsPerSecond);
    this.#anonymous = perSecond(limits.anonymousRequestsPerSecond);
  }

  /** Who sent a request: the holder of its token; without one, the operator on the Unix socket and nobody on TCP. */
  callerOf(request: IncomingMessage, listener: ListenerKind, protocols: readonly string[] = []): Caller {
    try {
      const token = tokenOf(request.headers, protocols);
      if (token === undefined) return listener === "unix" ? this.#operator : { kind: "anonymous" };
      const { grant } = this.#grants.authenticate(token);
      return { kind: "grant", subject: grant.subject, grant };
    } catch (thrown) {
      throw this.#failed(toDoorwardError(thrown), listener);
    }
  }

  /** Takes one request from the caller's allowance; throws RATE_LIMITED when it is used up. */
  admit(caller: Caller, listener: ListenerKind, at: "api" | "door" = "api"): void {
    if (this.#take(caller, listener, at)) return;
    throw new DoorwardError({
      code: "RATE_LIMITED",
      message: "Cannot accept the request: too many from this caller in a short time",
    });
  }

  #take(caller: Caller, listener: ListenerKind, at: "api" | "door"): boolean {
    if (caller.kind === "operator") return this.#operators.take(caller.subject);
    if (caller.kind === "anonymous") return this.#anonymous.take(listener);
    return (at === "door" ? this.#atDoors : this.#holders).take(caller.grant.grantId);
  }

  /**
   * Valid tokens are never refused for the failures of others: every caller on loopback looks alike, so that a lock-out
   * would be a gift to whoever guesses.
   */
  #failed(error: DoorwardError, listener: ListenerKind): DoorwardError {
    if (error.entry.status !== 401 || this.#failures.take(listener)) return error;
    return new DoorwardError({
      code: "RATE_LIMITED",
      message: "Cannot tell who calls: too many tokens failed in the last minute",
    });
  }
}

/** Login names hold more than subjects do, e.g. a backslash after a domain. */
function operatorSubject(login: string): string {
  const name = login.replaceAll(/[^A-Za-z0-9._@-]/g, "-").slice(0, 64);
  return `operator:${name === "" ? "unknown" : name}`;
}

function perSecond(rate: number): RateLimit {
  return new RateLimit({ capacity: rate * 2, perSecond: rate });
}
