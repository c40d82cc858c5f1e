import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type {
  ActionEvent,
  AgentToolDoorSpec,
  DoorName,
  HostActionResponse,
  Operation,
  TerminalDoorSpec,
  ToolEffect,
  ToolName,
} from "@doorward/contracts";
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
  /**
   * Subprotocol that was agreed, e.g. `doorward.terminal.v1`; the endpoint's segment where it has none; `http` for a
   * session of plain requests.
   */
  readonly protocol: string;
  /** Query of the URL as it came, without `?`; empty where the endpoint takes none. */
  readonly query: string;
  readonly machine: { readonly id: string; readonly name: string };
  readonly subject: string;
  readonly grantId: string;
  readonly kind: SessionKind;
  /** Operations that the grant holds; {@link DoorHost.check} decides at the moment of use. */
  readonly operations: ReadonlySet<Operation>;
  /** The terminal part of the machine's profile. */
  readonly spec: TerminalDoorSpec;
  /** The agent-tool part of the machine's profile in force; null where the profile has no such door. */
  readonly agentTool: AgentToolDoorSpec | null;
  /** What of the machine's file system the grant covers. */
  readonly reach: MachineReach;
  /** Actions on the host that the grant lets its holder ask for; `all` on the operator's own connection. */
  readonly capabilities: ReadonlySet<string> | "all";
  /** Tools that the grant names; null when it leaves that to its operations. */
  readonly tools: ReadonlySet<ToolName> | null;
  /** How the client says that it connects, e.g. `stdio`: its `X-Doorward-Client` header; recorded, never trusted. */
  readonly announced: string | null;
  /** Aborts with a DoorwardError when the session is over: revoked, expired, socket closed. The door stops at once. */
  readonly signal: AbortSignal;
  /** Bytes of the grant that wait, over all its sessions. */
  readonly bytes: WaitingBytes;
  readonly host: DoorHost;
}

/** Bytes that wait in the bridge: received and not answered yet, or answered and not read. */
export interface WaitingBytes {
  /** Counts bytes until they are given back; false, and nothing is counted, where that would be too many. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** A folder of the machine that a grant covers. */
export interface ReachedFolder {
  /** Absolute path in the machine. */
  readonly path: string;
  readonly access: "ro" | "rw";
  /** Names that file tools refuse to change, as file streams have them; none when absent. */
  readonly protected?: readonly string[];
}

/** What of a machine's file system a grant covers. */
export interface MachineReach {
  /** Where relative paths start: the machine's first repository, or the first folder that is covered. */
  readonly workdir: string;
  /** Folders that file tools may reach; `/` alone for a grant that runs commands, which reach everything anyway. */
  readonly folders: readonly ReachedFolder[];
  /** Whether it is less than all repositories of the machine. */
  readonly narrowed: boolean;
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
  /**
   * Notes that something begins, before it does: it gets a record even when the bridge is killed in the middle of it.
   * Throws EVIDENCE_UNWRITABLE where nothing can be noted, and then it must not begin.
   */
  begin(beginning: DoorBeginning): Begun;
  /** Begins the transcript of this session; throws EVIDENCE_UNWRITABLE where nothing more can be kept. */
  transcript(about: TranscriptStart): Promise<TranscriptFile>;
  /** Waits until somebody approves; throws a DenialError when it is refused. */
  approve(request: ApprovalRequest, signal: AbortSignal): Promise<void>;
  /** Asks for approval without waiting for it; the question is withdrawn when it is disposed undecided. */
  ask(request: ApprovalRequest): PendingQuestion;
  /** Asks for an action on the host, with the capabilities of the grant; its answer says what became of it. */
  hostAction(
    request: unknown,
    signal: AbortSignal,
    onEvent?: (event: ActionEvent) => void,
  ): Promise<HostActionResponse>;
  /**
   * Asks the operator to let the machine reach a host; resolves with the answer in words for the asker, rejects with
   * APPROVAL_DENIED. `onAsked` hears of the question when one has to be asked.
   */
  requestEgress(
    request: { readonly host: string; readonly port: number; readonly reason: string },
    signal: AbortSignal,
    onAsked?: (question: { readonly id: string; readonly expiresAt: string }) => void,
  ): Promise<string>;
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
  /** What is asked for, in a few words without anything of its arguments; the operation when absent. */
  readonly what?: string;
  readonly summary: string;
  /** What the decision is bound to beside what is shown, as a JSON value; nothing when absent. */
  readonly bound?: unknown;
  /** Argument shape that an approval for a time covers, as a JSON value; once alone when absent or null. */
  readonly shape?: { readonly of: unknown } | null;
}

/** A question to the operator that waits. */
export interface PendingQuestion extends Disposable {
  /** Id that the operator sees, e.g. in `doorward action ls`. */
  readonly id: string;
  /** When it is refused by itself, RFC 3339. */
  readonly expiresAt: string;
  /** Resolves with the approval's id; rejects with APPROVAL_DENIED. */
  readonly decided: Promise<{ readonly id: string }>;
}

/** A command that a session ran. The bridge keeps a keyed digest of `argv`, never its arguments. */
export interface CommandRecord {
  readonly type: "command";
  readonly execution: SessionKind;
  readonly argv: readonly string[];
  /** Program that a shell's line is for; the basename of `argv[0]` when absent. */
  readonly program?: string;
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

/** A tool that was called. The bridge keeps keyed digests of `arguments` and `result`, never the things themselves. */
export interface ToolCallRecord {
  readonly type: "tool-call";
  readonly execution: SessionKind;
  /** Its name, or the method of the protocol that did the same. */
  readonly tool: string;
  readonly effect: ToolEffect;
  /** Kind of client as it named itself, e.g. `codex`; null when it did not say. */
  readonly client: string | null;
  readonly transport: "http" | "websocket" | "stdio";
  readonly registryGrant: string | null;
  readonly arguments: unknown;
  readonly result: string | null;
  readonly program: string | null;
  readonly target: string | null;
  readonly outcome: "completed" | "failed" | "refused" | "pending" | "cancelled" | "timed-out" | "cut";
  readonly code: string | null;
  readonly exitCode: number | null;
  readonly durationMs: number;
  /** Id of the approval it ran under; null when none was needed. */
  readonly approval: string | null;
}

/** A connection to a port of the machine that ended, or was not made. */
export interface ForwardRecord {
  readonly type: "forward";
  readonly execution: SessionKind;
  readonly port: number;
  readonly outcome: "ended" | "cut" | "refused";
  readonly code: string | null;
  readonly durationMs: number;
}

/** What doors append to the evidence. */
export type DoorRecord = CommandRecord | ForwardRecord | TerminalRecord | ToolCallRecord;

/** What begins, with everything that its record says however it ends. */
export type DoorBeginning =
  | Pick<CommandRecord, "type" | "execution" | "argv" | "program" | "cwd">
  | Pick<ForwardRecord, "type" | "execution" | "port">
  | Omit<ToolCallRecord, "result" | "outcome" | "code" | "exitCode" | "durationMs">;

/** Something that was begun; disposing forgets it when nothing was recorded of it. */
export interface Begun extends Disposable {
  /** The operator approved it meanwhile. */
  approved(approval: string): void;
  /** Appends how it ended, as its only record; resolves once the record is durable. */
  record(record: DoorRecord): Promise<void>;
}

/** One kind of host surface, adapted to machines. */
export interface Door extends AsyncDisposable {
  readonly id: DoorName;
  readonly operations: readonly DoorOperation[];
  /**
   * Serves one session until it ends; rejects with the error that the gateway closes the socket with. Listeners on the
   * socket are attached before it first awaits.
   */
  open(session: DoorSession, socket: WebSocket): Promise<void>;
  /**
   * Serves one HTTP request of a session that the gateway keeps over many requests of one grant; the request was
   * authenticated and is within the gateway's limits, its body is unread. Resolves when it was answered.
   */
  request?(session: DoorSession, request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Whether something of a session of plain requests goes on between them, so that it stays open; nothing does when absent. */
  busy?(session: DoorSession): boolean;
}

/** Where a door is reached: the last segment of its path, and the subprotocol spoken there. */
export interface DoorEndpoint {
  /** Path below the machine's doors, e.g. `terminal` or `agent-tool/mcp`. */
  readonly segment: string;
  /** Subprotocol that a WebSocket client must offer; null where it offers none. */
  readonly protocol: string | null;
  /** Whether its URL may carry a query; one that does is refused when absent. */
  readonly query?: boolean;
  /** HTTP methods of plain requests that are served beside sockets; none when absent. */
  readonly methods?: readonly string[];
  /** Bytes of the largest message; the gateway's own limit when absent. */
  readonly messageBytes?: number;
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
