import { setTimeout as delay } from "node:timers/promises";
import type { EvidenceInput } from "@doorward/contracts";
import type { Logger } from "pino";
import type { EvidenceLog } from "../evidence/index.ts";

/** When a start that found no room is recorded again. */
const AGAIN_MS = 10_000;

/** What records the start of a bridge. */
export interface StartSources {
  readonly evidence: Pick<EvidenceLog, "append">;
  readonly log: Logger;
  /** Ends when the bridge stops. */
  readonly signal: AbortSignal;
}

/**
 * Records that a bridge has started; resolves when it is durable, or at once where it can't be: a start gives nobody a
 * right, and the operator needs his machines most when a disk is full. It is tried again until there is room. Never rejects.
 */
export async function recordStart(start: EvidenceInput, sources: StartSources): Promise<void> {
  try {
    await sources.evidence.append(start);
  } catch (error) {
    sources.log.error({ err: error }, "the bridge's start could not be recorded; trying again");
    void again(start, sources);
  }
}

async function again(start: EvidenceInput, sources: StartSources): Promise<void> {
  const { signal } = sources;
  const waited = await delay(AGAIN_MS, true, { signal, ref: false }).catch(() => false);
  if (waited) await recordStart(start, sources);
}
