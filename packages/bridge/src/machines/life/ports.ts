import type {
  AgentMachineProfile,
  DoorName,
  EvidenceInput,
  MachineSecret,
  Policy,
} from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { Logger } from "pino";
import type { EvidenceKeeper } from "../../interfaces/index.ts";
import type { HeldPath, HoldAsk } from "../../policy/index.ts";
import type { PlacedSecrets } from "../../secrets/index.ts";
import type { MachineEngine } from "../engine.ts";
import type { Clocks } from "./lease.ts";
import type { MachineRecords } from "./machine-records.ts";
import type { MachineRecord } from "./record.ts";

/** What machines ask of the policy. */
export interface MachinePolicy {
  readonly hash: string;
  readonly policy: Policy;
  /** PROFILE_NOT_FOUND when the policy has none of this name. */
  profile(name: string): AgentMachineProfile;
  /** How the host reaches a door of a profile; null when nothing may be done there. */
  interfaceProfile(profile: string, door: DoorName): { readonly id: string } | null;
  /** Resolves, judges and holds a path; throws the refusal. */
  holdRepo(path: string, ask: HoldAsk): Promise<HeldPath>;
}

/** The private clones of review machines. */
export interface ReviewClones {
  /** Clones a held repo for a machine; answers the clone's folder and the commit it starts from. */
  create(
    machineId: string,
    index: number,
    repo: HeldPath,
  ): Promise<{ readonly clone: string; readonly base: string }>;
  /** Whether a machine has changes that were never brought back. */
  hasUnreviewed(record: MachineRecord): Promise<boolean>;
  remove(machineId: string): Promise<void>;
}

/** The guest's runtime folder, shared by all machines. */
export interface GuestRuntime {
  readonly path: string;
  readonly digest: string;
  readonly command: readonly string[];
}

/** What machines ask of the sessions at their doors. */
export interface MachineSessions {
  closeMachine(machineId: string, reason: string): void;
  warn(machineId: string, notice: string): void;
}

/** What the life of machines asks of the secrets. */
export interface SecretsPort {
  /** Refuses secrets that contradict each other or that nobody set. */
  check(secrets: readonly MachineSecret[]): void;
  /** Makes what a launch takes into the machine: placeholders, and files where the operator insists. */
  place(
    machineId: string,
    secrets: readonly MachineSecret[],
    owner: { readonly uid: number; readonly gid: number },
  ): Promise<PlacedSecrets>;
  /** Deletes the files of a machine that has ended. */
  clear(machineId: string): Promise<void>;
}

/** What the life of machines asks of the way out. */
export interface EgressPort {
  /** Begins to serve what the guest of a running machine hands over. */
  start(machine: { readonly id: string; readonly name: string }, link: GuestLink): void;
  /** Ends all connections of a machine and records them. */
  end(machineId: string, reason: string): Promise<void>;
  /** Forgets what was allowed for a machine that was removed. */
  forget(machineId: string): void;
}

/** Everything that the life of machines is made of. */
export interface LifeContext {
  readonly engine: MachineEngine;
  readonly policy: MachinePolicy;
  readonly reviews: ReviewClones;
  readonly secrets: SecretsPort;
  readonly egress: EgressPort;
  readonly records: MachineRecords;
  readonly evidence: EvidenceKeeper & {
    append(input: EvidenceInput): Promise<{ readonly index: number }>;
  };
  readonly runtime: () => Promise<GuestRuntime>;
  readonly listen: (options: { readonly machineId: string; readonly folder: string }) => Promise<GuestLink>;
  readonly sessions: MachineSessions;
  readonly endGrants: (machineId: string, reason: string) => Promise<void>;
  /** The operator's home folder, whose git settings name him in commits. */
  readonly home: string;
  readonly doorVersions: Readonly<Record<string, string>>;
  readonly folders: { readonly state: string; readonly runtime: string };
  readonly installationId: string;
  readonly clocks: Clocks;
  readonly log: Logger;
}
