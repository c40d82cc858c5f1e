import type { Duplex } from "node:stream";
import type { DoorName, Operation, TerminalDoorSpec } from "@doorward/contracts";
import type { StreamOpen } from "@doorward/guest";
import type { WebSocket } from "ws";

/** An operation of a door, and whether somebody has to approve each use. */
export interface DoorOperation {
  readonly operation: Operation;
  readonly approval: boolean;
}

/** Who acts in a session: a person, or an agent. It goes into every record. */
export type SessionKind = "operator" | "agent";

/** A session at a door, after the gateway authenticated it and recorded its start. */
export interface DoorSession {
  readonly id: string;
  /** Subprotocol that was agreed, e.g. `doorward.terminal.v1`. */
  readonly protocol: string;
  readonly machine: { readonly id: string; readonly name: string };
  readonly subject: string;
  readonly grantId: string;
  readonly kind: SessionKind;
  /** Operations that the grant holds; {@link DoorHost.check} decides at the moment of use. */
  readonly operations: ReadonlySet<Operation>;
  /** The terminal part of the machine's profile. */
  readonly spec: TerminalDoorSpec;
  /** Aborts with a DoorwardError when the session is over: revoked, expired, socket closed. The door stops at once. */
  readonly signal: AbortSignal;
  readonly host: DoorHost;
}

/** The rest of the bridge, as one session at a door sees it. */
export interface DoorHost {
  /** Throws a DenialError unless the grant allows the operation at this very moment. */
  check(operation: Operation): void;
  /** Opens a stream to the machine's guest. */
  dial(open: StreamOpen, signal: AbortSignal): Promise<Duplex>;
  /** Ids of the terminals that the machine says run; as reported by the machine. */
  runningTerminals(signal: AbortSignal): Promise<readonly string[]>;
  /** Appends to the evidence; resolves once the record is durable. */
  record(record: DoorRecord): Promise<void>;
  /** Begins the transcript of this session; throws EVIDENCE_UNWRITABLE where nothing more can be kept. */
  transcript(about: TranscriptStart): Promise<TranscriptFile>;
  /** Waits until somebody approves; throws a DenialError when it is refused. */
  approve(request: ApprovalRequest, signal: AbortSignal): Promise<void>;
  /** Registers who is told of what people in the session should know, until disposed. */
  onNotice(listener: (notice: DoorNotice) => void): Disposable;
}

/** What a transcript is of. */
export interface TranscriptStart {
  readonly terminal: string;
}

/** Where a session's transcript goes, line by line; disposing ends it, and only then the session's end is recorded. */
export interface TranscriptFile extends AsyncDisposable {
  write(line: string): void;
  /** Whether nothing more is kept, because the disk is nearly full or fails. */
  readonly stopped: boolean;
}

/** Something that the people in a session should know, e.g. that the machine stops soon. */
export interface DoorNotice {
  readonly code: string;
  readonly message: string;
}

/** What a door asks approval for. */
export interface ApprovalRequest {
  readonly operation: Operation;
  readonly summary: string;
}

/** A command that a session ran. The bridge keeps a keyed digest of `argv`, never its arguments. */
export interface CommandRecord {
  readonly type: "command";
  readonly execution: SessionKind;
  readonly argv: readonly string[];
  readonly cwd: string | null;
  readonly outcome: "exited" | "signalled" | "not-started" | "cut" | "lost";
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly durationMs: number;
  readonly stdinBytes: number;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly detail: string | null;
}

/** What a session did with a terminal. `created` is what later tells who opened it. */
export interface TerminalRecord {
  readonly type: "terminal";
  readonly execution: SessionKind;
  readonly event: "created" | "attached" | "observed" | "control" | "exited";
  readonly terminal: string;
  /** Program of a created terminal; null for its shell, and for other events. */
  readonly argv: readonly string[] | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** What doors append to the evidence. */
export type DoorRecord = CommandRecord | TerminalRecord;

/** One kind of host surface, adapted to machines. */
export interface Door extends AsyncDisposable {
  readonly id: DoorName;
  readonly operations: readonly DoorOperation[];
  /**
   * Serves one session until it ends; rejects with the error that the gateway closes the socket with. Listeners on the
   * socket are attached before it first awaits.
   */
  open(session: DoorSession, socket: WebSocket): Promise<void>;
}

/** Where a door is reached: the last segment of its path, and the subprotocol spoken there. */
export interface DoorEndpoint {
  readonly segment: string;
  readonly protocol: string;
  /** Operations of which a caller needs one at least. */
  readonly operations: readonly Operation[];
  /** What the operator's own connection is granted. */
  readonly implicit: readonly Operation[];
}

/** A door as the registry knows it; the door itself is loaded when it is first used. */
export interface DoorEntry {
  readonly id: DoorName;
  readonly endpoints: readonly DoorEndpoint[];
  load(): Promise<Door>;
}
