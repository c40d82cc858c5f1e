import { dirname } from "node:path";
import { DoorwardError, EvidenceEnvelope, isEvidenceType, type EvidenceRow } from "@doorward/contracts";
import { rotateEvidenceKey, summarize, type EvidenceEntry, type EvidenceLog } from "../../evidence/index.ts";
import type { Handlers } from "../../gateway/index.ts";
import { keyView, witnessView } from "../evidence-views.ts";
import { subjectOf } from "./machines.ts";

type EvidenceHandlers = Pick<Handlers, Extract<keyof Handlers, `evidence.${string}`>>;

/** Handlers of evidence routes. */
export function evidenceHandlers(log: EvidenceLog, policyHash: () => string): EvidenceHandlers {
  return {
    "evidence.list": async ({ query }) => {
      const { type, limit = 50, ...rest } = query;
      if (type !== undefined && !isEvidenceType(type)) {
        throw new DoorwardError({
          code: "INPUT_INVALID",
          message: `Cannot list evidence: no record type "${type}"`,
        });
      }
      const { entries } = await log.list({ ...rest, limit, type });
      return { records: entries.map(row), size: log.size };
    },
    "evidence.show": async ({ params }) => {
      const entry = await log.read(params.index);
      return { index: entry.index, statement: { ...entry.statement }, envelope: { ...envelopeOf(entry) } };
    },
    "evidence.checkpoint": async () => ({ checkpoint: await log.checkpoint(), vkey: log.vkey, dir: log.dir }),
    "evidence.key": () => keyView(log),
    "evidence.rotate": async ({ body, caller, correlationId }) => {
      const context = { subject: subjectOf(caller), correlationId, policyHash: policyHash() };
      await rotateEvidenceKey(log, dirname(log.dir), context, body.reason);
      await log.checkpoint();
      return keyView(log);
    },
    "evidence.witness": async () => ({ witnesses: (await log.witness()).map(witnessView) }),
  };
}

function row(entry: EvidenceEntry): EvidenceRow {
  const { predicate } = entry.statement;
  return {
    index: entry.index,
    at: predicate.at,
    type: entry.type,
    subject: predicate.subject,
    machine: predicate.machine?.name ?? null,
    summary: summarize(entry.statement).slice(0, 1000),
  };
}

function envelopeOf(entry: EvidenceEntry): Record<string, unknown> {
  return EvidenceEnvelope.parse(JSON.parse(entry.envelope));
}
