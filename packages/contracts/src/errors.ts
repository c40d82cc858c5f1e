/** What a catalogue entry says of an error code: HTTP status, exit code of the command, close code of a WebSocket, and when it occurs. */
export interface ErrorEntry {
  readonly status: number;
  readonly exit: 1 | 2 | 3 | 4 | 5;
  readonly close: number;
  readonly when: string;
}

const denied = { status: 403, exit: 3, close: 4403 } as const;
const unauthorised = { status: 401, exit: 3, close: 4401 } as const;
const invalid = { status: 400, exit: 2, close: 4400 } as const;
const absent = { status: 404, exit: 4, close: 4404 } as const;
const conflict = { status: 409, exit: 1, close: 4409 } as const;
const hostNotReady = { status: 503, exit: 5, close: 1011 } as const;
const fault = { status: 500, exit: 1, close: 1011 } as const;

/** Every error code that Doorward uses; `docs/errors.md` is this table. */
export const ERRORS = {
  // input
  INPUT_INVALID: {
    ...invalid,
    when: "A request, frame, argument or file does not have the documented shape",
  },
  INPUT_TOO_LARGE: {
    ...invalid,
    status: 413,
    close: 4429,
    when: "A body, frame, argument list or file is over its limit",
  },
  USAGE: { ...invalid, when: "The command was called with unknown or missing arguments" },
  PROTOCOL_ERROR: {
    ...invalid,
    when: "A peer sent a message that its protocol does not allow at that point",
  },
  ROUTE_NOT_FOUND: { ...absent, when: "The control API has no such path" },
  METHOD_NOT_ALLOWED: { ...invalid, status: 405, when: "The path exists, but not with this method" },
  // who
  TOKEN_MISSING: { ...unauthorised, when: "The caller showed no token where one is needed" },
  TOKEN_INVALID: { ...unauthorised, when: "The token is malformed or not known to this bridge" },
  GRANT_EXPIRED: { ...unauthorised, when: "The grant's time is over" },
  GRANT_REVOKED: { ...unauthorised, close: 4410, when: "The grant, or one it was made from, was revoked" },
  GRANT_NOT_FOUND: { ...absent, when: "No grant has this id" },
  GRANT_TOO_WIDE: { ...denied, when: "A grant would exceed its parent or the policy" },
  GRANT_UNENFORCEABLE: {
    ...denied,
    when: "A grant asks for narrower paths together with operations that run code",
  },
  HOST_NOT_ALLOWED: { ...denied, when: "The Host header names neither loopback nor a configured name" },
  ORIGIN_NOT_ALLOWED: { ...denied, when: "A browser page of another origin called" },
  // what
  OPERATION_NOT_GRANTED: { ...denied, when: "The grant does not contain this operation" },
  OPERATOR_ONLY: { ...denied, when: "Only the operator, on the bridge's own socket, may do this" },
  DOOR_NOT_OFFERED: { ...denied, when: "The machine's profile does not offer this door" },
  TOOL_NOT_FOUND: { ...absent, when: "The agent-tool door has no such tool, or not in this session" },
  TOOL_NOT_ALLOWED: { ...denied, when: "The door or the grant does not let this client call the tool" },
  DOOR_NOT_FOUND: { ...absent, when: "No door has this name" },
  MACHINE_NOT_GRANTED: { ...denied, when: "The grant is for another machine" },
  RATE_LIMITED: {
    ...denied,
    status: 429,
    exit: 1,
    close: 4429,
    when: "Too many requests or connections in a short time",
  },
  TIMED_OUT: { status: 408, exit: 1, close: 4408, when: "A peer or a step did not answer in its time" },
  ABORTED: { status: 499, exit: 1, close: 1001, when: "The caller went away or asked to stop" },
  // policy
  POLICY_INVALID: { ...invalid, exit: 5, when: "policy.yaml does not have the documented shape" },
  CONTRACT_NOT_FOUND: { ...absent, when: "No contract has this URN, or this type and profile" },
  DOOR_NOT_BUILT: {
    ...invalid,
    exit: 5,
    when: "A document is for a door, or asks for something of one, that this build does not have",
  },
  POLICY_DENIED: { ...denied, when: "The policy does not allow this" },
  EGRESS_DENIED: { ...denied, when: "No rule lets machines reach this host, or one denies it" },
  EGRESS_ADDRESS_DENIED: {
    ...denied,
    when: "A host resolves to an address that is not of the public internet and that no rule names",
  },
  EGRESS_MISMATCH: {
    ...denied,
    when: "A connection names one host to the proxy and another one inside",
  },
  EGRESS_ANSWER_REFUSED: {
    ...fault,
    status: 502,
    when: "A host that a secret is bound to answered in a form that can't be looked through for the value",
  },
  EGRESS_UNRESOLVED: { ...fault, status: 502, when: "The name of an allowed host could not be resolved" },
  EGRESS_UNREACHABLE: { ...fault, status: 502, when: "An allowed host did not answer" },
  PATH_NOT_ALLOWED: { ...denied, when: "The path lies under no allowed root" },
  PATH_DENIED: { ...denied, when: "The path is on the deny list, which always wins" },
  PATH_INVALID: { ...invalid, when: "The path has a form that is never accepted" },
  PATH_NOT_FOUND: { ...absent, when: "The path does not exist" },
  PATH_NOT_DIRECTORY: { ...invalid, when: "The path is not a folder" },
  PATH_CHANGED: { ...conflict, when: "A path changed between the decision and its use" },
  TEXT_MISMATCH: {
    ...conflict,
    when: "The text that an edit or a patch replaces is not in the file as given, or more than once",
  },
  HARDLINK_OUTSIDE: { ...denied, when: "A file of the repo has a hard link outside the repo" },
  REPO_UNSUPPORTED: { ...denied, when: "A repository of this form can't be protected by mounts" },
  PROFILE_NOT_FOUND: { ...absent, when: "The policy has no profile of this name" },
  SECRET_NOT_FOUND: { ...absent, when: "No secret has this name" },
  SECRET_IN_USE: { ...conflict, when: "A machine uses the secret" },
  APPROVAL_DENIED: {
    ...denied,
    when: "The operator refused what needed approval, or nobody decided in time",
  },
  APPROVAL_NOT_FOUND: { ...absent, when: "No pending decision has this id" },
  ACTION_NOT_FOUND: { ...absent, when: "No request for an action has this id, or it is another one's" },
  APPROVAL_CHANGED: { ...conflict, when: "What is asked is not what was shown when it was approved" },
  // machines
  MACHINE_NOT_FOUND: { ...absent, when: "No machine has this name or id" },
  MACHINE_AMBIGUOUS: { ...conflict, exit: 2, when: "More than one machine fits; a name is needed" },
  MACHINE_EXISTS: { ...conflict, when: "A machine of this name exists with other repos or another profile" },
  MACHINE_NOT_RUNNING: { ...conflict, when: "The machine is stopped" },
  MACHINE_DRIFT: {
    ...denied,
    status: 409,
    close: 4409,
    when: "The running container differs from what was intended; it was killed",
  },
  MACHINE_LIMIT: { ...denied, status: 429, close: 4429, when: "The policy's number of machines is reached" },
  MACHINE_BUSY: { ...conflict, when: "Another change of this machine is under way" },
  CHANGES_UNREVIEWED: { ...conflict, when: "Removing would drop changes that nobody reviewed" },
  REVIEW_FAILED: { ...conflict, when: "The changes of a review machine could not be brought back" },
  LAUNCH_FAILED: { ...fault, when: "The container could not be created or started" },
  GUEST_UNREACHABLE: { ...fault, status: 502, when: "The machine's guest does not answer" },
  GUEST_PROTOCOL: {
    ...fault,
    status: 502,
    when: "The machine's guest sent something its protocol does not allow",
  },
  IMAGE_BUILD_FAILED: { ...fault, when: "The machine image could not be built" },
  IMAGE_NOT_FOUND: { ...absent, when: "No local image has this name" },
  TERMINAL_NOT_FOUND: { ...absent, when: "The machine has no terminal of this id" },
  TERMINAL_TAKEN: { ...conflict, when: "Another viewer controls the terminal" },
  TERMINAL_LIMIT: {
    ...denied,
    status: 429,
    close: 4429,
    when: "The machine has as many terminals as it may",
  },
  PROCESS_LIMIT: {
    ...denied,
    status: 429,
    close: 4429,
    when: "The machine has no process, memory or open file left to start a program with",
  },
  PORT_CLOSED: { ...absent, when: "No program of the machine listens on the port" },
  COMMAND_NOT_FOUND: { ...absent, when: "The machine has no such program" },
  // host
  PODMAN_MISSING: { ...hostNotReady, when: "Podman is not installed, or too old" },
  PODMAN_UNREACHABLE: { ...hostNotReady, when: "Podman's API socket does not answer" },
  PODMAN_FAILED: { ...fault, status: 502, when: "Podman refused or failed an operation" },
  HOST_UNSUPPORTED: { ...hostNotReady, when: "This host lacks something that a machine needs" },
  BRIDGE_UNREACHABLE: { ...hostNotReady, when: "The bridge does not answer on its socket" },
  BRIDGE_RUNNING: { ...hostNotReady, status: 409, when: "Another bridge holds this state folder" },
  BRIDGE_STARTING: { ...hostNotReady, when: "The bridge is still adopting machines or starting Podman" },
  BRIDGE_STOPPING: { ...hostNotReady, when: "The bridge is shutting down" },
  PORT_TAKEN: { ...hostNotReady, when: "The loopback port is in use by another process" },
  // evidence and state
  EVIDENCE_UNWRITABLE: { ...hostNotReady, when: "An evidence record could not be made durable" },
  EVIDENCE_INVALID: { ...fault, when: "Evidence does not verify" },
  TRANSCRIPT_NOT_FOUND: { ...absent, when: "No transcript has this id, or it was deleted" },
  EVIDENCE_NOT_FOUND: { ...absent, when: "No evidence record has this index or id" },
  STATE_INVALID: { ...fault, when: "What is stored does not have the expected shape" },
  STATE_UNWRITABLE: { ...hostNotReady, when: "A change of the store could not be made durable" },
  STATE_UNSAFE: {
    ...hostNotReady,
    when: "A folder of the bridge belongs to another user, is a symlink, or is open to others",
  },
  STATE_NEWER: { ...hostNotReady, when: "The state folder was written by a newer Doorward" },
  KEY_INVALID: { ...fault, when: "A key file is missing, damaged, or readable by others" },
  INTERNAL: { ...fault, when: "A fault of ours" },
} as const satisfies Record<string, ErrorEntry>;

/** The closed union of error codes. */
export type ErrorCode = keyof typeof ERRORS;

/** Whether a string is one of our error codes. */
export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERRORS, value);
}

/** What a {@link DoorwardError} is made from. */
export interface ErrorInit {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** The one error type: a stable code, what happened to what, and what to do about it. */
export class DoorwardError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(init: ErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = "DoorwardError";
    this.code = init.code;
    this.hint = init.hint;
    this.details = init.details;
  }

  /** HTTP status, exit code and close code that belong to this error's code. */
  get entry(): ErrorEntry {
    return ERRORS[this.code];
  }
}

/** A refusal by policy or grant, as opposed to a failure; it leaves a denial record. */
export class DenialError extends DoorwardError {
  /** The rule that refused, e.g. `policy.paths.deny[ssh]`. */
  readonly rule: string;

  constructor(init: ErrorInit & { readonly rule: string }) {
    super(init);
    this.name = "DenialError";
    this.rule = init.rule;
  }
}

/** Wraps anything thrown into a {@link DoorwardError}, keeping one that already is. */
export function toDoorwardError(thrown: unknown): DoorwardError {
  if (thrown instanceof DoorwardError) return thrown;
  if (thrown instanceof Error && thrown.name === "AbortError") {
    return new DoorwardError({ code: "ABORTED", message: "The operation was stopped", cause: thrown });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new DoorwardError({ code: "INTERNAL", message: `Unexpected fault: ${message}`, cause: thrown });
}
