import { DEFAULT_PROFILE, profileDocument } from "@doorward/contracts";
import { MachineRecord } from "../src/machines/life/index.ts";

/** A repo of a machine's record, worked on directly. */
export const REPO = {
  hostPath: "/srv/app",
  machinePath: "/workspace/app",
  access: "rw" as const,
  review: false,
  clone: null,
  base: null,
};

/** What is stored of a machine "shop" that runs, with fields of a test's own. */
export function machineRecord(over: Partial<MachineRecord> = {}): MachineRecord {
  return MachineRecord.parse({
    id: "m_0123456789ab",
    name: "shop",
    state: "running",
    stateReason: null,
    profile: profileDocument("default", DEFAULT_PROFILE),
    subject: "operator:ada",
    repos: [REPO],
    hide: [],
    imageName: "machine",
    image: null,
    timeToLiveSeconds: 60,
    idRange: 0,
    containerId: null,
    createdAt: "2026-11-21T10:00:00Z",
    lease: null,
    fingerprint: null,
    evidence: null,
    notices: [],
    protections: [],
    listed: [],
    ...over,
  });
}
