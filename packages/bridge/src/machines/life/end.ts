import { rm } from "node:fs/promises";
import type { EvidencePredicate } from "@doorward/contracts";
import { shownPath } from "../../policy/index.ts";
import { newProtectedNames, releasePins } from "../mounts/index.ts";
import { keptNotices } from "./notices.ts";
import type { LifeContext } from "./ports.ts";
import type { MachineRecord } from "./record.ts";
import { forgetTrust } from "./egress-trust.ts";
import { homeFolder, socketFolder } from "./spec.ts";

/** Why and by whom a machine ends. */
export interface Ending {
  readonly reason: EvidencePredicate<"machine-end">["reason"];
  readonly subject: string;
  readonly correlationId: string;
  /** In words, for the machine's state and its record. */
  readonly why: string;
  readonly exitCode?: number;
}

/** Subject of what the bridge does by itself. */
export const BRIDGE_SUBJECT = "operator:bridge";

/** What ends a machine because of something that the bridge found. */
export function byBridge(
  record: MachineRecord,
  reason: Ending["reason"],
  why: string,
  exitCode?: number,
): Ending {
  const ending = { reason, why, subject: BRIDGE_SUBJECT, correlationId: record.id };
  return exitCode === undefined ? ending : { ...ending, exitCode };
}

/** Stores a machine whose container is gone as stopped, and records its end; its definition, home and clones stay. */
export async function settleEnded(
  context: LifeContext,
  record: MachineRecord,
  ending: Ending,
): Promise<MachineRecord> {
  await rm(socketFolder(context, record.id), { recursive: true, force: true });
  await context.secrets.clear(record.id);
  const notices = keptNotices(record.notices, await appeared(context, record));
  const stateReason = ending.why.slice(0, 300);
  const stopped: MachineRecord = { ...record, state: "stopped", stateReason, containerId: null, notices };
  context.records.putEnding(stopped);
  await recordEnd(context, record, ending);
  return stopped;
}

/** Puts a machine's end on record. */
export async function recordEnd(
  context: Pick<LifeContext, "evidence" | "policy">,
  record: MachineRecord,
  ending: Ending,
): Promise<void> {
  await context.evidence.append({
    type: "machine-end",
    correlationId: ending.correlationId,
    subject: ending.subject,
    machine: { id: record.id, name: record.name },
    grant: null,
    policyHash: context.policy.hash,
    reason: ending.reason,
    exitCode: ending.exitCode ?? null,
    fingerprint: record.fingerprint?.digest ?? null,
    detail: ending.why.slice(0, 500),
  });
}

/** Removes everything of a machine that is kept on disk; its container is gone already. */
export async function forgetMachine(context: LifeContext, id: string): Promise<void> {
  await rm(socketFolder(context, id), { recursive: true, force: true });
  await context.secrets.clear(id);
  context.egress.forget(id);
  await forgetTrust(context, id);
  await rm(homeFolder(context, id), { recursive: true, force: true });
  await context.reviews.remove(id);
  context.records.delete(id);
}

/** Protected names that appeared in the writable repos of a machine, as notices for the operator; lets go of pins. */
async function appeared(context: LifeContext, record: MachineRecord): Promise<string[]> {
  const notices: string[] = [];
  const others = context.records
    .list()
    .filter((other) => other.id !== record.id && other.state === "running");
  const protect = context.policy.policy.protect ?? [];
  for (const protection of record.protections) {
    const { hostPath } = protection;
    const names = await newProtectedNames(protection, protect, record.profile).catch(() => []);
    notices.push(
      ...names.map(
        (name) =>
          `${shownPath(hostPath)}: "${shownPath(name)}" appeared while the machine ran; look at it before you trust it`,
      ),
    );
    const shared = others.some((other) => other.protections.some((each) => overlap(each.hostPath, hostPath)));
    if (!shared) await releasePins(protection).catch(() => undefined);
  }
  return notices;
}

/** Whether one folder is the other or lies in it: a linked worktree's machine protects the git folder inside another repo. */
function overlap(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);
}
