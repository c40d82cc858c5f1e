import { toDoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import type { EvidenceLog } from "../evidence/index.ts";
import type { InFlight } from "./in-flight.ts";
import type { LeftNote } from "./notes.ts";

/** What is needed to end what a lost bridge left under way. */
export interface LostSources {
  readonly inFlight: InFlight;
  readonly evidence: Pick<EvidenceLog, "append" | "read">;
  readonly log: Logger;
}

/** Records what the bridge before noted and did not end, once each, however often this is killed; answers how many. */
export async function recordLost({ inFlight, evidence, log }: LostSources): Promise<number> {
  // One that was about to be written may be there.
  for (const { note, recordId } of inFlight.left)
    if (recordId !== null && (await isThere(evidence, recordId))) inFlight.ended(note);
  const recorded = await Promise.all(
    inFlight.left.map((left) => recordOne({ inFlight, evidence, log }, left)),
  );
  const count = recorded.filter(Boolean).length;
  if (count > 0) log.warn({ count }, "recorded what was under way when the bridge before was lost");
  return count;
}

async function recordOne(
  { inFlight, evidence, log }: LostSources,
  { note, record }: LeftNote,
): Promise<boolean> {
  try {
    await evidence.append(record, note);
    inFlight.ended(note);
    return true;
  } catch (error) {
    log.error({ err: error, type: record.type }, "what was under way could not be recorded");
    if (isRefused(error)) inFlight.forget(note);
    return false;
  }
}

async function isThere(evidence: LostSources["evidence"], recordId: string): Promise<boolean> {
  try {
    await evidence.read(recordId);
    return true;
  } catch (error) {
    if (toDoorwardError(error).code === "EVIDENCE_NOT_FOUND") return false;
    throw error;
  }
}

/** Whether trying again can't help; a full disk may have room the next time. */
export function isRefused(thrown: unknown): boolean {
  return ["INPUT_INVALID", "INPUT_TOO_LARGE"].includes(toDoorwardError(thrown).code);
}
