import type { ActionCode, FileOperation, HostsRecord, ScopeViolation } from "@doorward/contracts";

/** A command as a request or a step names it, before anything is judged. */
export interface CommandRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds; null for the scope's own limit. */
  readonly timeoutMs: number | null;
  readonly input: Buffer | null;
}

/** A refusal of an action, or its failure, with the code of the contract. */
export interface ActionFailure {
  readonly code: ActionCode;
  readonly message: string;
  readonly scopeViolation?: ScopeViolation;
}

/** What a file on the host was when a plan was made of it; the plan runs only while it still is. */
export interface FileIdentity {
  readonly path: string;
  readonly dev: string;
  readonly ino: string;
  /** `sha256:…` of the content; null for a folder or a file too large to read. */
  readonly digest: string | null;
}

/** A command that its scope allows, with everything that running it needs. */
export interface CommandPlan {
  readonly scope: string;
  /** The program after symlinks were resolved; what is executed is this very file. */
  readonly program: FileIdentity;
  /** As it was asked for: `argv[0]` of the process. */
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: FileIdentity;
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly input: Buffer | null;
  readonly effect: "read" | "write";
  readonly confirm: "always" | "never";
}

/** How a command ended. */
export interface CommandOutcome {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly cancelled: boolean;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly truncated: boolean;
  readonly durationMs: number;
}

/** Decides about commands: the structured argument policy of the process scopes in force. */
export interface CommandJudge {
  /** Throws an ActionError with SCOPE_DENIED or SCOPE_VIOLATION. */
  judge(scope: string, request: CommandRequest): Promise<CommandPlan>;
}

/** Runs judged commands, and nothing else. */
export interface CommandRunner {
  /**
   * Runs the plan's program without a shell in a process group of its own, which is dead when this resolves. Throws an
   * ActionError with PROCESS_SPAWN_ENOENT, PROCESS_SPAWN_PERMISSION_DENIED, SCOPE_VIOLATION (the program or folder is
   * another one than was judged) or OS_ERROR.
   */
  run(plan: CommandPlan, signal: AbortSignal): Promise<CommandOutcome>;
}

/** One change that a plan of file operations makes, for the person who confirms. */
export interface FileChange {
  readonly operation: FileOperation["type"];
  readonly path: string;
  readonly to: string | null;
  /** A unified diff of text, or a line that says what changes; bounded, escaped by whoever prints it. */
  readonly preview: string;
}

/** File operations that their scope allows; `state` is a digest over what they were planned on. */
export interface FilesPlan {
  readonly scope: string;
  readonly operations: readonly FileOperation[];
  readonly changes: readonly FileChange[];
  readonly state: string;
  readonly confirm: "always" | "never";
}

/** Plans and applies file operations beneath the roots of a scope, safe against links and renames. */
export interface FileActions {
  plan(scope: string, operations: readonly FileOperation[]): Promise<FilesPlan>;
  /** Applies a plan; each operation is judged again at its own descriptor. Throws an ActionError, saying how far it came. */
  apply(plan: FilesPlan, signal: AbortSignal): Promise<{ readonly applied: number }>;
}

/** The tagged section of the hosts file before and after. */
export interface HostsPlan {
  readonly hostsPath: string;
  readonly section: string;
  readonly changed: boolean;
  readonly changes: readonly FileChange[];
  readonly records: readonly HostsRecord[];
  readonly state: string;
}

/** Edits one tagged section of the hosts file. */
export interface HostsActions {
  plan(owner: string, tag: string, records: readonly HostsRecord[]): Promise<HostsPlan>;
  apply(plan: HostsPlan, signal: AbortSignal): Promise<void>;
}

/** The host's clipboard. */
export interface Clipboard {
  /** Throws an ActionError with CLIPBOARD_UNSUPPORTED or CLIPBOARD_READ_FAILED. */
  read(signal: AbortSignal): Promise<string>;
  /** Throws an ActionError with CLIPBOARD_UNSUPPORTED or CLIPBOARD_WRITE_FAILED. */
  write(text: string, signal: AbortSignal): Promise<void>;
}
