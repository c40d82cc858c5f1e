import type { Duplex } from "node:stream";
import type {
  ActionEvent,
  AgentToolDoorSpec,
  DoorName,
  DoorwardError,
  ErrorCode,
  HostActionResponse,
  ServedGrant,
  Operation,
  RouteEvent,
  RouteId,
  RouteInput,
  RouteResult,
  TerminalDoorSpec,
} from "@doorward/contracts";
import type {
  ApprovalRequest,
  Begun,
  DoorBeginning,
  DoorRecord,
  MachineReach,
  PendingQuestion,
  TranscriptFile,
  TranscriptStart,
} from "@doorward/doors";
import type { StreamOpen } from "@doorward/guest";

/** Which listener a request came through: the operator's Unix socket, or loopback TCP. */
export type ListenerKind = "unix" | "tcp";

/** Who calls, as the gateway established it. */
export type Caller =
  | { readonly kind: "anonymous" }
  | { readonly kind: "operator"; readonly subject: string }
  | { readonly kind: "grant"; readonly subject: string; readonly grant: ServedGrant };

/** A grant that lived a moment ago; whether it still does is asked anew for every operation. */
export interface GatewayGrant {
  readonly grant: ServedGrant;
}

/** A grant minted for one connection of the operator; `end` is harmless when called twice. */
export interface ConnectionGrant extends GatewayGrant {
  end(): void | Promise<void>;
}

/** What the gateway needs of the grants: who a token is, whether an operation is allowed now, grants for one connection. */
export interface GrantsPort {
  /** Throws TOKEN_INVALID, GRANT_EXPIRED or GRANT_REVOKED. */
  authenticate(token: string): GatewayGrant;
  /** Throws when the grant is over, lacks the operation, or is for another machine. */
  check(grantId: string, operation: Operation, machineId: string): void;
  mintImplicit(request: {
    readonly subject: string;
    readonly machine: string;
    readonly operations: readonly Operation[];
  }): ConnectionGrant | Promise<ConnectionGrant>;
  /** Tells at once of grants that end; the listener answers how many sessions it cut. */
  onEnded(listener: (ended: EndedGrant) => number): Disposable;
}

/** A running or stopped machine, as far as the gateway cares. */
export interface GatewayMachine {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  /** Doors that its profile offers. */
  readonly doors: readonly DoorName[];
  /** The terminal part of its profile. */
  readonly terminal: TerminalDoorSpec;
  /** The agent-tool part of its profile in force; null without such a door. */
  readonly agentTool: AgentToolDoorSpec | null;
  /** What of its file system a grant on these host paths with these operations covers. */
  reach(repoPaths: readonly string[], operations: readonly Operation[]): MachineReach;
  /** Doors whose interface profile lets clients come through the bridge's own socket only. */
  readonly socketOnly?: readonly DoorName[];
}

/** What the gateway needs of the machines: find one by name or id, and a fresh stream to its guest. */
export interface MachinesPort {
  find(nameOrId: string): GatewayMachine | undefined;
  /** Names of all machines. */
  names(): readonly string[];
  /** Opens a stream to the machine's guest; one stream per purpose. */
  dial(machineId: string, open: StreamOpen, signal: AbortSignal): Promise<Duplex>;
  /** Ids of the terminals that the guest says run. */
  runningTerminals(machineId: string, signal: AbortSignal): Promise<readonly string[]>;
}

/** A machine as records name it. */
export interface MachineRef {
  readonly id: string;
  readonly name: string;
}

/** Start of a session at a door. */
export interface SessionOpened {
  readonly session: string;
  readonly grant: string;
  readonly subject: string;
  readonly machine: MachineRef;
  readonly door: DoorName;
  readonly protocol: string;
  /** Operations of the grant that this door endpoint serves. */
  readonly operations: readonly Operation[];
  readonly listener: ListenerKind;
  readonly origin: string | null;
  readonly correlationId: string;
  readonly at: string;
}

/** End of a session at a door; byte counts are those of the wire after the upgrade. */
export interface SessionClosed {
  readonly opened: SessionOpened;
  readonly durationMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly closeCode: number;
  /** Exit code of the session's last program that exited; null when none did. */
  readonly exitCode: number | null;
  /** `CLOSED` when the peer or the door closed it, else the error code of its end; ABORTED when the peer was lost. */
  readonly reason: string;
  readonly at: string;
}

/** A refusal of a caller who is known. */
export interface Denial {
  readonly subject: string;
  readonly grant: string | null;
  readonly machine: MachineRef | null;
  /** What was asked for: a route's id, `door.open`, or `door.operation`. */
  readonly attempted: string;
  readonly door: DoorName | null;
  readonly operation: Operation | null;
  /** Path, machine or other object that was asked for; null when none. */
  readonly target: string | null;
  readonly code: ErrorCode;
  readonly rule: string | null;
  readonly correlationId: string;
  readonly at: string;
}

/** A refusal of a caller who showed no valid token, or of a known one over its rate; such are counted, and recorded once a minute. */
export interface CountedDenial {
  readonly code: ErrorCode;
  readonly door: DoorName | null;
  /** The known caller; null for one who showed no valid token. */
  readonly subject: string | null;
}

/** A grant that has just ended. */
export interface EndedGrant {
  readonly id: string;
  readonly status: "expired" | "revoked";
  readonly reason: string;
  /** Why its sessions end, where that is no decision of anybody but a failure. */
  readonly error?: DoorwardError | undefined;
}

/** What the gateway writes to the evidence. */
export interface GatewayEvidence {
  /** Resolves once the record is durable; a session starts only then. */
  sessionOpened(record: SessionOpened): Promise<void>;
  sessionClosed(record: SessionClosed): Promise<void>;
  denied(record: Denial): Promise<void>;
  /** Counts a refusal; the evidence writes the counts once a minute. */
  countDenial(denial: CountedDenial): void;
  /** What a door did in a session; resolves once the record is durable. */
  sessionEvent(session: SessionOpened, event: DoorRecord): Promise<void>;
  /** Notes what a door begins in a session; what the bridge is killed in gets its record from the next one. */
  sessionBegins(session: SessionOpened, beginning: DoorBeginning): Begun;
  /** Begins the transcript of a session; `sessionClosed` keeps it and names it in its record. */
  transcript(
    session: SessionOpened,
    spec: TerminalDoorSpec["transcript"],
    about: TranscriptStart,
  ): Promise<TranscriptFile>;
}

/** What a handler reports while it works; shown to clients of an `ndjson` route, ignored elsewhere. */
export type ReportProgress = (step: { readonly step: string; readonly detail?: string | undefined }) => void;

/** One checked call of a route. */
export interface RouteCall<Id extends RouteId> extends RouteInput<Id> {
  readonly caller: Caller;
  readonly correlationId: string;
  readonly progress: ReportProgress;
  /** Tells an event of an `ndjson` route; false when the client reads too slowly and it was dropped. */
  readonly tell: (event: RouteEvent<Id>) => boolean;
  /** Aborts when the client goes away or the bridge stops. */
  readonly signal: AbortSignal;
}

/** The handlers of the control API, one for each route. */
export type Handlers = {
  readonly [Id in RouteId]: (call: RouteCall<Id>) => Promise<RouteResult<Id>>;
};

/** Asks somebody to approve an operation, for the doors that need it. */
export interface ApprovalsPort {
  /** Resolves once it is approved; throws a DenialError when it is refused. */
  approve(session: SessionOpened, request: ApprovalRequest, signal: AbortSignal): Promise<void>;
  /** Asks without waiting. */
  ask(session: SessionOpened, request: ApprovalRequest): PendingQuestion;
}

/** What doors may ask of the host itself, for sessions whose grant carries it. */
export interface HostPort {
  /** Asks for an action on the host with the session's capabilities. */
  hostAction(
    session: SessionOpened,
    request: unknown,
    signal: AbortSignal,
    onEvent: (event: ActionEvent) => void,
  ): Promise<HostActionResponse>;
  /** Asks the operator to let the session's machine reach a host; resolves with the answer in words. */
  requestEgress(
    session: SessionOpened,
    request: { readonly host: string; readonly port: number; readonly reason: string },
    signal: AbortSignal,
    onAsked?: (question: { readonly id: string; readonly expiresAt: string }) => void,
  ): Promise<string>;
}
