import { DOORS, type MachineView } from "@doorward/contracts";
import type { MachineRecord } from "./record.ts";

/** A stored machine as the control API shows it. */
export function machineView(record: MachineRecord): MachineView {
  const live = record.state === "running" || record.state === "launching";
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    stateReason: record.stateReason,
    profile: record.profile.name,
    subject: record.subject,
    repos: record.repos.map(({ hostPath, machinePath, access, review }) => ({
      hostPath,
      machinePath,
      access,
      review,
    })),
    workdir: record.repos[0]?.machinePath ?? "/workspace",
    image: record.image,
    doors: DOORS.filter((door) => record.profile.doors[door] !== undefined),
    createdAt: record.createdAt,
    startedAt: record.lease?.startedAt ?? null,
    expiresAt: live ? (record.lease?.expiresAt ?? null) : null,
    fingerprint: record.fingerprint?.digest ?? null,
    evidence: record.evidence,
    notices: record.notices,
  };
}
