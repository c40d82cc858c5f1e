import { ERRORS, isErrorCode, type ErrorCode } from "@doorward/contracts";
import type { GatewayEvidence } from "../gateway/index.ts";
import type { Appender } from "./grant-evidence.ts";
import type { DenialCounter } from "./denial-counter.ts";

/** What the adapter needs to know of the bridge. */
export interface GatewayEvidenceSources {
  readonly log: Appender;
  readonly denials: DenialCounter;
  /** Id and name of a machine by either; null for one that is not known. */
  readonly machine: (nameOrId: string) => { readonly id: string; readonly name: string } | null;
  readonly policyHash: () => string;
  readonly operationsOf: (grantId: string) => readonly string[];
}

/** Writes what happens at the gateway into the evidence log. */
export function gatewayEvidence(sources: GatewayEvidenceSources): Omit<GatewayEvidence, "sessionEvent"> {
  const { log, denials, policyHash } = sources;
  const known = (id: string): { id: string; name: string } => {
    const machine = sources.machine(id);
    return { id, name: machine?.name ?? "removed" };
  };
  return {
    sessionOpened: async (session) => {
      await log.append({
        type: "session-open",
        correlationId: session.correlationId,
        subject: session.subject,
        machine: known(session.machine),
        grant: session.grant,
        policyHash: policyHash(),
        session: session.session,
        door: session.door,
        operations: [...sources.operationsOf(session.grant)],
        execution: executionOf(session.subject),
        via: session.listener === "unix" ? "socket" : "tcp",
        origin: session.origin,
        resumes: null,
      });
    },
    sessionClosed: async (session) => {
      await log.append({
        type: "session-close",
        correlationId: session.session,
        subject: session.subject,
        machine: known(session.machine),
        grant: session.grant,
        policyHash: policyHash(),
        session: session.session,
        door: session.door,
        reason: closeReason(session.reason),
        durationMs: Math.round(session.durationMs),
        bytesIn: session.bytesIn,
        bytesOut: session.bytesOut,
        exitCode: null,
        transcript: null,
      });
    },
    denied: async (denial) => {
      const machine = denial.machine === null ? null : sources.machine(denial.machine);
      await log.append({
        type: "denial",
        correlationId: denial.correlationId,
        subject: denial.subject,
        machine: machine === null ? null : { id: machine.id, name: machine.name },
        grant: denial.grant,
        policyHash: policyHash(),
        attempted: attempted(denial.operation),
        code: denial.code,
        rule: denial.rule.slice(0, 200),
        door: null,
        operation: null,
        target: denial.message.slice(0, 4096),
      });
    },
    countDenial: ({ code }) => denials.count(code),
  };
}

/** Operators type; everybody else is an agent. */
export function executionOf(subject: string): "operator" | "agent" {
  return subject.startsWith("operator:") ? "operator" : "agent";
}

function closeReason(reason: string): ErrorCode | "CLOSED" {
  return isErrorCode(reason) && Object.hasOwn(ERRORS, reason) ? reason : "CLOSED";
}

/** A route id or door operation as a word of the evidence schema. */
function attempted(operation: string): string {
  const word = operation.toLowerCase().replaceAll(/[^a-z0-9.*-]/g, "-");
  return /^[a-z]/.test(word) ? word.slice(0, 80) : "request";
}
