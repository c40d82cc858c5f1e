import type { AgentMachineProfile, EvidenceInput } from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { Logger } from "pino";
import type { Documents } from "../../store/index.ts";
import type { EngineMount, MachineEngine } from "../engine.ts";
import type { Clocks } from "./lease.ts";
import type { MachineRecord } from "./record.ts";

/** A repo that policy allowed, held by descriptor until the machine runs. */
export interface AllowedRepo extends AsyncDisposable {
  readonly hostPath: string;
  readonly access: "ro" | "rw";
}

/** What machines ask of the policy. */
export interface MachinePolicy {
  hash(): string;
  maxMachines(): number;
  /** PROFILE_NOT_FOUND when the policy has none of this name. */
  profile(name: string): AgentMachineProfile;
  /** Resolves, judges and holds a path; throws the refusal. */
  allow(path: string, ask: { readonly profile: string; readonly access: "ro" | "rw" }): Promise<AllowedRepo>;
}

/** A repo of a machine, and the folder that is mounted for it. */
export interface PlannedRepo {
  readonly held: AllowedRepo;
  /** Private clone of a review machine; the repo itself when null. */
  readonly clone: string | null;
}

/** The mounts of one launch, held until they are in place. */
export interface MountPlan extends AsyncDisposable {
  readonly mounts: readonly EngineMount[];
  /** Machine path of each repo, in order. */
  readonly targets: readonly string[];
  readonly notices: readonly string[];
  /** Names in the repos that look secret and are visible. */
  readonly listed: readonly string[];
}

/** What machines ask of mount planning. */
export interface MountPlanner {
  plan(ask: {
    readonly machineId: string;
    readonly repos: readonly PlannedRepo[];
    readonly profile: AgentMachineProfile;
    readonly hide: readonly string[];
  }): Promise<MountPlan>;
  /** Protected names that appeared in a writable repo while a machine ran. */
  newProtectedNames(hostPath: string): Promise<readonly string[]>;
}

/** The private clones of review machines. */
export interface ReviewClones {
  /** Clones a held repo for a machine; answers the clone's folder and the commit it starts from. */
  create(
    machineId: string,
    index: number,
    repo: AllowedRepo,
  ): Promise<{ readonly clone: string; readonly base: string }>;
  /** Whether a clone has changes that were never brought back. */
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

/** Everything that the life of machines is made of. */
export interface LifeContext {
  readonly engine: MachineEngine;
  readonly policy: MachinePolicy;
  readonly planner: MountPlanner;
  readonly reviews: ReviewClones;
  readonly records: Documents<MachineRecord>;
  readonly evidence: { append(input: EvidenceInput): Promise<{ readonly index: number }> };
  readonly runtime: () => Promise<GuestRuntime>;
  readonly listen: (options: { readonly machineId: string; readonly folder: string }) => Promise<GuestLink>;
  readonly sessions: MachineSessions;
  readonly endGrants: (machineId: string, reason: string) => Promise<void>;
  readonly gitIdentity: () => Promise<Readonly<Record<string, string>>>;
  readonly doorVersions: Readonly<Record<string, string>>;
  readonly folders: { readonly state: string; readonly runtime: string };
  readonly installationId: string;
  readonly clocks: Clocks;
  readonly log: Logger;
}
