import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AgentMachineMountEvidence, DoorwardError, type Reference } from "@doorward/contracts";
import canonicalize from "canonicalize";
import type { EvidenceLog } from "../evidence/index.ts";

/** Where referenced files are kept. */
export interface EvidenceKeeper {
  keep(content: Uint8Array, options?: { readonly mediaType?: string }): Promise<Reference>;
}

/** Keeps the mount evidence of a launch beside the log; durable when it returns, so that the launch record may name it. */
export async function keepMountEvidence(
  evidence: EvidenceKeeper,
  document: AgentMachineMountEvidence,
): Promise<Reference> {
  try {
    const text = canonicalize(document) ?? "";
    return await evidence.keep(Buffer.from(text), { mediaType: "application/json" });
  } catch (cause) {
    if (cause instanceof DoorwardError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot launch: its mount evidence could not be made durable: ${why}`;
    throw new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message, hint: "doorward doctor", cause });
  }
}

/** Reads the mount evidence that a launch record names; it must be what the record's digest says. */
export async function readMountEvidence(
  log: Pick<EvidenceLog, "dir" | "read">,
  machine: string,
  index: number | null,
): Promise<AgentMachineMountEvidence> {
  const entry = index === null ? undefined : await log.read(index);
  const predicate = entry?.statement.predicate;
  const reference =
    predicate !== undefined && "mountEvidence" in predicate ? predicate.mountEvidence : undefined;
  if (reference === undefined || reference.path === null) {
    throw new DoorwardError({
      code: "EVIDENCE_NOT_FOUND",
      message: `Cannot show mount evidence of "${machine}": no launch record of it names any`,
      hint: `doorward start ${machine}`,
    });
  }
  const bytes = await readFile(join(dirname(log.dir), reference.path)).catch((cause: unknown) => {
    throw damaged(machine, "its file can't be read", cause);
  });
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (digest !== reference.digest) throw damaged(machine, "its file is not what the launch record says");
  return AgentMachineMountEvidence.parse(JSON.parse(bytes.toString("utf8")));
}

function damaged(machine: string, why: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_INVALID",
    message: `Cannot show mount evidence of "${machine}": ${why}`,
    hint: "doorward evidence verify",
    cause,
  });
}
