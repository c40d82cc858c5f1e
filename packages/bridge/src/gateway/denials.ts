import { DenialError, type DoorName, type DoorwardError, type Operation } from "@doorward/contracts";
import type { Logger } from "pino";
import type { GatewayLimits } from "./config.ts";
import type { Caller, Denial, GatewayEvidence, MachineRef } from "./ports.ts";
import { RateLimit } from "./rate-limit.ts";

/** Circumstances of a refusal. */
export interface DenialContext {
  readonly caller: Caller;
  /** Grant in use where the caller does not show it: the operator's own, minted for one connection. */
  readonly grant?: string;
  readonly attempted: string;
  readonly machine: MachineRef | null;
  readonly door?: DoorName | undefined;
  readonly operation?: Operation | undefined;
  /** What was asked for, unless the error names a path. */
  readonly target?: string | undefined;
  readonly correlationId: string;
}

/** Puts refusals into the evidence: each one of a known subject, up to a rate; counts of all others, by known subject. */
export class Denials {
  readonly #evidence: GatewayEvidence;
  readonly #log: Logger;
  readonly #rate: RateLimit;

  constructor(options: {
    readonly evidence: GatewayEvidence;
    readonly log: Logger;
    readonly limits: GatewayLimits;
  }) {
    this.#evidence = options.evidence;
    this.#log = options.log;
    const perMinute = options.limits.denialsPerMinute;
    this.#rate = new RateLimit({ capacity: perMinute, perSecond: perMinute / 60 });
  }

  /** Notes an error if it is a refusal; never throws, because the refusal stands even when it can't be recorded. */
  async note(error: DoorwardError, context: DenialContext): Promise<void> {
    if (!isRefusal(error)) return;
    try {
      const { caller } = context;
      const subject = caller.kind === "anonymous" ? null : caller.subject;
      if (subject !== null && this.#rate.take(subject))
        await this.#evidence.denied(denialOf(error, subject, context));
      else this.#evidence.countDenial({ code: error.code, door: context.door ?? null, subject });
    } catch (cause) {
      this.#log.error({ err: cause, code: error.code }, "denial could not be recorded");
    }
  }
}

function isRefusal(error: DoorwardError): boolean {
  return error instanceof DenialError || error.entry.exit === 3 || error.code === "RATE_LIMITED";
}

function denialOf(error: DoorwardError, subject: string, context: DenialContext): Denial {
  const { caller, grant, attempted, machine, door, operation, target, correlationId } = context;
  const path = error.details?.["path"];
  return {
    subject,
    grant: grant ?? (caller.kind === "grant" ? caller.grant.grantId : null),
    machine: machine === null ? null : { id: machine.id, name: machine.name },
    attempted,
    door: door ?? null,
    operation: operation ?? null,
    target: typeof path === "string" ? path.slice(0, 4096) : (target ?? null),
    code: error.code,
    rule: error instanceof DenialError ? error.rule : null,
    correlationId,
    at: new Date().toISOString(),
  };
}
