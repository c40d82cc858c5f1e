import {
  DenialError,
  DoorwardError,
  ERRORS,
  Problem,
  isErrorCode,
  type ErrorCode,
  type ErrorInit,
} from "@doorward/contracts";

/** The error that a problem document describes; a code that this build does not know becomes one that fits its status. */
export function errorFromProblem(document: unknown, status: number): DoorwardError {
  const parsed = Problem.safeParse(document);
  if (!parsed.success) return unexplained(status);
  const problem = parsed.data;
  const correlation = problem.correlationId === undefined ? {} : { correlationId: problem.correlationId };
  const init: ErrorInit = {
    code: isErrorCode(problem.code) ? problem.code : codeOfStatus(status),
    message: problem.detail,
    hint: problem.hint,
    details: { ...problem.details, ...correlation },
  };
  return problem.rule === undefined
    ? new DoorwardError(init)
    : new DenialError({ ...init, rule: problem.rule });
}

/** The problem document of an error, as the bridge would answer it. */
export function problemOf(error: DoorwardError): Problem {
  return {
    type: `urn:doorward:error:${error.code}`,
    title: error.code.toLowerCase().replaceAll("_", " "),
    status: error.entry.status,
    detail: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error instanceof DenialError ? { rule: error.rule } : {}),
    ...(error.details === undefined || Object.keys(error.details).length === 0
      ? {}
      : { details: error.details }),
  };
}

/** The error that a WebSocket's close code and reason stand for. */
export function errorFromClose(what: string, code: number, reason: string): DoorwardError {
  const known = isErrorCode(reason) ? reason : codeOfClose(code);
  const why = isErrorCode(reason) ? ERRORS[reason].when : `the connection ended with code ${code}`;
  return new DoorwardError({
    code: known,
    message: `Cannot keep ${what} open: ${why.charAt(0).toLowerCase()}${why.slice(1)}`,
    details: { closeCode: code },
  });
}

function unexplained(status: number): DoorwardError {
  return new DoorwardError({
    code: codeOfStatus(status),
    message: `Cannot read the bridge's answer: HTTP status ${status} without a problem document`,
  });
}

function codeOfStatus(status: number): ErrorCode {
  const byStatus: Readonly<Record<number, ErrorCode>> = {
    400: "INPUT_INVALID",
    401: "TOKEN_INVALID",
    403: "POLICY_DENIED",
    404: "ROUTE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "INPUT_TOO_LARGE",
    429: "RATE_LIMITED",
    503: "BRIDGE_UNREACHABLE",
  };
  return byStatus[status] ?? "INTERNAL";
}

function codeOfClose(code: number): ErrorCode {
  const byClose: Readonly<Record<number, ErrorCode>> = {
    4400: "PROTOCOL_ERROR",
    4401: "GRANT_EXPIRED",
    4403: "OPERATION_NOT_GRANTED",
    4404: "MACHINE_NOT_FOUND",
    4408: "TIMED_OUT",
    4410: "GRANT_REVOKED",
    4429: "RATE_LIMITED",
  };
  return byClose[code] ?? "BRIDGE_UNREACHABLE";
}
