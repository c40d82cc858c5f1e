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

/** Makes a new key and exchanges it, with a record that both keys sign. */
export async function rotateEvidenceKey(
  evidence: EvidenceLog,
  dir: string,
  context: Pick<EvidenceInput, "subject" | "correlationId" | "policyHash">,
  reason: string | null,
): Promise<Appended> {
  const path = join(dir, "key.next.pem");
  await dropEvidenceKey(path);
  const appended = await evidence.rotate(await createEvidenceKey(path), context, reason);
  await takeOver(dir);
  return appended;
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
