import { DenialError, DoorwardError, toDoorwardError, type ErrorCode } from "@doorward/contracts";
import type { AllowanceRefusal } from "./allowance.ts";
import type { CallOutcome } from "./tool-caller.ts";

/** What a model should do about an error whose own hint is for the operator, if it has one. */
const OPERATORS: Partial<Record<ErrorCode, string>> = {
  GRANT_EXPIRED: "Your grant is over; ask the operator to renew it. Calling again does not help",
  GRANT_REVOKED: "Your grant was revoked; stop, and tell the user",
  GRANT_NOT_FOUND: "Your grant is over; stop, and tell the user",
  MACHINE_NOT_RUNNING: "The machine is stopped; ask the operator to start it",
  EVIDENCE_UNWRITABLE: "Nothing can be recorded on the host, so nothing is done; tell the user",
  EGRESS_ADDRESS_DENIED:
    "Ask for a host of the internet by its name; what is inside the operator's own network only the operator can allow",
  INTERNAL: "This is a fault of Doorward; do something else, and tell the user",
};

/** What it should do about an error that has no hint of the tool's own. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  OPERATION_NOT_GRANTED:
    "Your grant does not allow this; use another tool, or tell the user what you would need",
  PATH_NOT_FOUND: "Call list_directory or find_files to see what there is",
  PATH_NOT_DIRECTORY: "Give the folder that it is in; read_file reads a file, search_files looks into one",
  PATH_CHANGED: "It changed meanwhile. Read it again, then make the call for what is there now",
  GUEST_UNREACHABLE: "The machine does not answer; try once more in a moment, then tell the user",
  PATH_NOT_ALLOWED:
    "Work within the folders that the grant covers; the working folder is where relative paths start",
  PROCESS_LIMIT:
    "Nothing was run. End what you started (stop_command), or wait until it ends, then call again; files can be read and changed meanwhile. If it stays, tell the user: only a restart of the machine helps",
  APPROVAL_DENIED:
    "Do not ask for the same again, nor for the same in other words; do something else, or ask the user",
  APPROVAL_CHANGED: "Look at what is there now, then make the call again; it is asked about anew",
};

/** A thrown error in words for a model. */
export function failureOf(thrown: unknown): Extract<CallOutcome, { kind: "failed" }> {
  const { code, message, hint } = toDoorwardError(thrown);
  return { kind: "failed", code, message, hint: hintFor(code, hint) };
}

function hintFor(code: ErrorCode, own: string | undefined): string | null {
  const advice = OPERATORS[code];
  if (advice !== undefined) return advice;
  return own === undefined || isOperatorsCommand(own) ? (ADVICE[code] ?? own ?? null) : own;
}

function isOperatorsCommand(hint: string): boolean {
  return /^(doorward |--)/.test(hint);
}

/** The error for a call that the door's policy or the grant does not allow. */
export function notAllowed(tool: string, { rule, message, hint }: AllowanceRefusal): DenialError {
  return new DenialError({
    code: rule === "grant.operations" ? "OPERATION_NOT_GRANTED" : "TOOL_NOT_ALLOWED",
    rule,
    message: `Cannot call "${tool}": ${message}`,
    hint: hint ?? "Use another tool, or tell the user what you would need",
  });
}

/** The error for a call of a tool that there is not, or not in this session. */
export function noSuchTool(name: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "TOOL_NOT_FOUND",
    message: `Cannot call ${JSON.stringify(name.slice(0, 80))}: ${why}`,
    hint: "List the tools, and call one of them",
  });
}
