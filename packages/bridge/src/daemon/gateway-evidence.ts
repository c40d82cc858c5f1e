import type { EvidenceInput } from "@doorward/contracts";
import type { EvidenceLog } from "../evidence/index.ts";
import { doorRecord } from "./door-evidence.ts";
import { noteBeginning } from "./door-begun.ts";
import type { GatewayEvidence, SessionOpened } from "../gateway/index.ts";
import type { InFlight } from "../in-flight/index.ts";
import type { Transcripts } from "../transcripts/index.ts";
import type { DenialCounter } from "./denial-counter.ts";

/** What the adapter needs to know of the bridge. */
export interface GatewayEvidenceSources {
  readonly log: Pick<EvidenceLog, "append" | "argvDigest" | "keyedDigest" | "keyId">;
  readonly inFlight: InFlight;
  readonly denials: DenialCounter;
  readonly transcripts: Pick<Transcripts, "begin" | "finish" | "recorded">;
  readonly policyHash: () => string;
}

/** How a session ends whose bridge is lost. */
const LOST = {
  reason: "BRIDGE_LOST",
  durationMs: 0,
  bytesIn: 0,
  bytesOut: 0,
  exitCode: null,
  transcript: null,
} as const;

/** Writes sessions and refusals of the gateway into the evidence log. */
export function gatewayEvidence(sources: GatewayEvidenceSources): GatewayEvidence {
  const { log, inFlight, denials, transcripts, policyHash } = sources;
  const about = (session: SessionOpened) => ({
    correlationId: session.correlationId,
    subject: session.subject,
    machine: session.machine,
    grant: session.grant,
    policyHash: policyHash(),
    session: session.session,
    door: session.door,
  });
  /** Notes of the ends of open sessions. */
  const ends = new Map<string, number>();
  return {
    sessionOpened: async (session) => {
      const note = inFlight.begin({ type: "session-close", ...about(session), ...LOST });
      const open: EvidenceInput = {
        type: "session-open",
        ...about(session),
        operations: [...session.operations],
        execution: executionOf(session.subject),
        via: session.listener === "unix" ? "socket" : "tcp",
        origin: session.origin,
        resumes: null,
      };
      await log.append(open, note).catch((error: unknown) => {
        inFlight.forget(note);
        throw error;
      });
      ends.set(session.session, note);
    },
    sessionClosed: async ({ opened, reason, durationMs, bytesIn, bytesOut, exitCode }) => {
      const measured = { durationMs: Math.round(durationMs), bytesIn, bytesOut, exitCode };
      const transcript = await transcripts.finish(opened.session);
      const note = ends.get(opened.session) ?? null;
      ends.delete(opened.session);
      await log.append({ type: "session-close", ...about(opened), reason, ...measured, transcript }, note);
      if (note !== null) inFlight.ended(note);
      transcripts.recorded(opened.session);
    },
    sessionEvent: async (session, event) => {
      await log.append(doorRecord(log, session, policyHash(), event));
    },
    sessionBegins: (session, beginning) => noteBeginning({ log, inFlight, session, policyHash }, beginning),
    transcript: (session, spec, about) => transcripts.begin(session, spec, about),
    denied: async ({ at: _at, ...denial }) => {
      await log.append({ type: "denial", ...denial, policyHash: policyHash() });
    },
    countDenial: (denial) => denials.count(denial),
  };
}

/** Operators type; everybody else is an agent. */
function executionOf(subject: string): "operator" | "agent" {
  return subject.startsWith("operator:") ? "operator" : "agent";
}
