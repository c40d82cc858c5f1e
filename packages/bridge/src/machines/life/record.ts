import {
  AgentMachineFingerprint,
  AgentMachineProfile,
  HostPath,
  MachineId,
  MachineName,
  MachinePath,
  MachineRepo,
  MachineState,
  Sha256,
  Subject,
  Timestamp,
} from "@doorward/contracts";
import * as z from "zod";

/** A repo of a machine as stored: what was asked, and the private clone of a review machine. */
const RecordedRepo = z.strictObject({
  ...MachineRepo.shape,
  clone: HostPath.nullable().describe("Folder of the private clone; null when the repo itself is mounted"),
  base: z.string().max(64).nullable().describe("Commit that the clone was made from"),
});
export type RecordedRepo = z.infer<typeof RecordedRepo>;

/** A writable folder of a machine and what of it is protected, for the report at its end. */
const RecordedProtection = z.strictObject({
  hostPath: HostPath,
  machinePath: MachinePath,
  protected: z.array(z.string().max(4096)).max(10_000),
  pins: z.array(z.string().max(4096)).max(10_000),
});

/** The time a machine may run, kept so that neither a changed wall clock nor a suspend stretches it. */
export const Lease = z.strictObject({
  startedAt: Timestamp,
  expiresAt: Timestamp,
  bootId: z.string().max(60).describe("Boot in which it started"),
  expiresAtUptime: z.number().describe("Seconds since that boot, suspend included, at which it ends"),
});
export type Lease = z.infer<typeof Lease>;

/** What the bridge stores of a machine; enough to adopt, start again or clean it up after any crash. */
export const MachineRecord = z.strictObject({
  id: MachineId,
  name: MachineName,
  state: MachineState,
  stateReason: z.string().max(300).nullable(),
  profile: AgentMachineProfile,
  subject: Subject,
  repos: z.array(RecordedRepo).min(1).max(32),
  hide: z.array(z.string().max(200)).max(200),
  imageName: z.string().max(200),
  image: z.strictObject({ id: Sha256, tag: z.string().max(300) }).nullable(),
  timeToLiveSeconds: z.int().min(1),
  idRange: z.int().min(0).describe("Index of its range of host ids"),
  containerId: z.string().max(80).nullable(),
  createdAt: Timestamp,
  lease: Lease.nullable(),
  /** One of an earlier build's form counts as none: it can't be compared with what runs. */
  fingerprint: AgentMachineFingerprint.nullable().catch(null),
  evidence: z.int().nullable().describe("Index of the launch record"),
  notices: z.array(z.string().max(1000)).max(100),
  protections: z.array(RecordedProtection).max(64),
  listed: z.array(z.string().max(4096)).max(1000),
  removing: z.literal(true).optional().describe("Its removal began: the next bridge finishes that"),
});
export type MachineRecord = z.infer<typeof MachineRecord>;
