import type {
  AgentToolDoorSpec,
  DoorName,
  DoorwardError,
  GrantStatus,
  ServedGrant,
  Operation,
  ToolName,
} from "@doorward/contracts";

/** What somebody asks to be granted, as the policy judges it. */
export interface GrantAsk {
  readonly subject: string;
  readonly doors: readonly DoorName[];
  readonly operations: readonly Operation[];
  /** Capabilities of host actions; none when absent. */
  readonly capabilities?: readonly string[] | undefined;
  /** Tools of the agent-tool door; those of the operations when absent. */
  readonly tools?: readonly ToolName[] | undefined;
  /** The agent-tool door of the machine as it is in force; that of its profile when absent. */
  readonly agentTool?: AgentToolDoorSpec | null | undefined;
  readonly seconds: number;
  readonly profile: string;
}

/** The policy in force, as far as grants care. */
export interface GrantPolicy {
  /** Digest of the policy, `sha256:...`. */
  readonly hash: string;
  /** Names the rule that allows it, or throws a DenialError. */
  decideGrant(ask: GrantAsk): { readonly rule: string };
}

/** The machine that a grant is for. */
export interface GrantMachine {
  readonly id: string;
  readonly name: string;
  /** Resolved host paths of its repos. */
  readonly repoHostPaths: readonly string[];
  /** Doors that its profile offers. */
  readonly doors: readonly DoorName[];
  /** Name of its profile. */
  readonly profile: string;
  /** Its agent-tool door as it is in force; null for none. What policy judges by when absent is its profile's. */
  readonly agentTool?: AgentToolDoorSpec | null | undefined;
}

/** What every record about a grant says. `by` is null when the bridge itself acted. */
export interface GrantEvent {
  readonly grant: ServedGrant;
  readonly machine: { readonly id: string; readonly name: string };
  readonly by: string | null;
}

/** A new grant; `rule` is the policy's. */
export interface GrantMinted extends GrantEvent {
  readonly implicit: boolean;
  readonly rule: string;
}

/** A child that a holder made of its grant. */
export interface GrantNarrowed extends GrantEvent {
  readonly parent: string;
  readonly rule: string;
}

/** A grant whose end is moved; the document has the new one. */
export interface GrantRenewed extends GrantEvent {
  readonly previousExpiresAt: string;
  readonly rule: string;
}

/** What revoked a grant. */
export type RevocationCause = "command" | "parent" | "policy" | "machine-end" | "connection-end";

/** A revoked grant. */
export interface GrantRevoked extends GrantEvent {
  readonly reason: string;
  readonly cause: RevocationCause;
  readonly sessionsCut: number;
}

/** A grant whose time was over. */
export interface GrantExpired extends GrantEvent {
  readonly sessionsCut: number;
}

/** Where grants leave their evidence. Each call resolves once its record is durable. */
export interface GrantEvidence {
  minted(event: GrantMinted): Promise<void>;
  narrowed(event: GrantNarrowed): Promise<void>;
  renewed(event: GrantRenewed): Promise<void>;
  revoked(event: GrantRevoked): Promise<void>;
  expired(event: GrantExpired): Promise<void>;
}

/** A grant that has just ended. */
export interface EndedGrant {
  readonly id: string;
  readonly machine: string;
  readonly status: Exclude<GrantStatus, "active">;
  readonly reason: string;
  /** Why its sessions end, where that is no decision of anybody but a failure. */
  readonly error?: DoorwardError | undefined;
}

/** Cuts what the grant holds open, before it returns; answers how many sessions that were. */
export type EndListener = (ended: EndedGrant) => number;
