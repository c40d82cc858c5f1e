import { toDoorwardError, type EvidenceType } from "@doorward/contracts";
import type { Logger } from "pino";
import type { EvidenceLog } from "../evidence/index.ts";
import type { InFlight } from "./in-flight.ts";
import type { LeftNote, LostRecord } from "./notes.ts";

/** What is needed to end what a lost bridge left under way. */
export interface LostSources {
  readonly inFlight: InFlight;
  readonly evidence: Pick<EvidenceLog, "append" | "read">;
  /** What somebody else records; nothing when absent. */
  readonly except?: (record: LostRecord) => boolean;
  readonly log: Logger;
}

/** What is recorded when it opens too: the record of that, and those that say that it is over. */
const ACCOUNTS: Partial<
  Record<LostRecord["type"], { readonly opening: EvidenceType; readonly ends: readonly EvidenceType[] }>
> = {
  "session-close": { opening: "session-open", ends: ["session-close"] },
  "grant-revoked": { opening: "grant-minted", ends: ["grant-revoked", "grant-expired"] },
};

/** Records what the bridge before noted and did not end, once each, however often this is killed; answers how many. */
export async function recordLost(sources: LostSources): Promise<number> {
  const { inFlight, evidence, except = () => false, log } = sources;
  for (const left of inFlight.left) if (await isOver(evidence, left)) inFlight.ended(left.note);
  const left = inFlight.left.filter(({ record }) => !except(record));
  const recorded = await Promise.all(left.map((each) => recordOne(sources, each)));
  const count = recorded.filter(Boolean).length;
  if (count > 0) log.warn({ count }, "recorded what was under way when the bridge before was lost");
  return count;
}

/** Whether a note needs no record: its own was written, or it is of a session or grant whose opening was not. */
export async function isOver(
  evidence: LostSources["evidence"],
  { record, recordIds }: LeftNote,
): Promise<boolean> {
  const written: (EvidenceType | null)[] = [];
  for (const recordId of recordIds) written.push(await typeOf(evidence, recordId));
  const { opening, ends } = ACCOUNTS[record.type] ?? { opening: null, ends: [record.type] };
  if (ends.some((end) => written.includes(end))) return true;
  return opening !== null && !written.includes(opening);
}

/** Whether trying again can't help; a full disk may have room the next time. */
export function isRefused(thrown: unknown): boolean {
  return ["INPUT_INVALID", "INPUT_TOO_LARGE"].includes(toDoorwardError(thrown).code);
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

/** Type of a record; null when it is not in the log. */
async function typeOf(evidence: LostSources["evidence"], recordId: string): Promise<EvidenceType | null> {
  try {
    return (await evidence.read(recordId)).type;
  } catch (error) {
    if (toDoorwardError(error).code === "EVIDENCE_NOT_FOUND") return null;
    throw error;
  }
}
