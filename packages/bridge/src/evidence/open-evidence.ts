import { access, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { DoorwardError, type EvidenceInput } from "@doorward/contracts";
import { syncFolder } from "./files.ts";
import { createEvidenceKey, dropEvidenceKey, openEvidenceKey, readEvidenceKey } from "./key.ts";
import type { Appended } from "./log-writer.ts";
import { EvidenceLog, type EvidenceLogOptions } from "./log.ts";

/** Where a bridge keeps its evidence: `key.pem` and the log's folder `log`. */
export interface EvidencePlace {
  readonly dir: string;
  readonly origin: string;
  readonly log: Logger;
  readonly placing?: EvidenceLogOptions["placing"];
}

/** Opens (or begins) the evidence of a bridge with the key beside it; ends a key rotation that was cut short. */
export async function openEvidence({ dir, ...place }: EvidencePlace): Promise<EvidenceLog> {
  const logDir = join(dir, "log");
  const path = join(dir, "key.pem");
  const next = join(dir, "key.next.pem");
  const key = await ((await exists(join(logDir, "journal"))) ? readEvidenceKey(path) : openEvidenceKey(path));
  try {
    const evidence = await EvidenceLog.open({ dir: logDir, key, ...place });
    await dropEvidenceKey(next); // made, but never in force
    return evidence;
  } catch (error) {
    if (!(error instanceof DoorwardError) || error.code !== "KEY_INVALID" || !(await exists(next)))
      throw error;
  }
  const evidence = await EvidenceLog.open({ dir: logDir, key: await readEvidenceKey(next), ...place });
  await takeOver(dir);
  return evidence;
}

/** The last rotation of each log: two at once would take each other's key file away, and with it the key in force. */
const rotations = new WeakMap<EvidenceLog, Promise<unknown>>();

/** Makes a new key and exchanges it, with a record that both keys sign; of several at once one comes after the other. */
export function rotateEvidenceKey(
  evidence: EvidenceLog,
  dir: string,
  context: Pick<EvidenceInput, "subject" | "correlationId" | "policyHash">,
  reason: string | null,
): Promise<Appended> {
  const before = rotations.get(evidence) ?? Promise.resolve();
  const mine = before.then(async () => {
    const path = join(dir, "key.next.pem");
    await clearNext(evidence, dir, path);
    const appended = await evidence.rotate(await createEvidenceKey(path), context, reason);
    await takeOver(dir);
    return appended;
  });
  rotations.set(
    evidence,
    mine.catch(() => undefined),
  );
  return mine;
}

/** What an earlier rotation left: a key in force that could not be put in its place, or one that never came into force. */
async function clearNext(evidence: EvidenceLog, dir: string, path: string): Promise<void> {
  const left = await readEvidenceKey(path).catch(() => null);
  if (left?.keyId === evidence.keyId) await takeOver(dir);
  else await dropEvidenceKey(path);
}

async function takeOver(dir: string): Promise<void> {
  await rename(join(dir, "key.next.pem"), join(dir, "key.pem"));
  await syncFolder(dir);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
