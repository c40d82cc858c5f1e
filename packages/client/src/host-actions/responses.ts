import type {
  PrivilegedActionErrorResponse,
  PrivilegedActionResponse,
  PrivilegedActionSuccessResponse,
} from "./types.ts";

// The functions of this file are written into pages by their source: they use nothing that is not in them, and no named
// function within, because builds wrap those with helpers that a page does not have.

/** Whether an answer says that the action was done. */
export function isPrivilegedActionSuccessResponse<Result = unknown>(
  response: unknown,
): response is PrivilegedActionSuccessResponse<Result> {
  return (
    typeof response === "object" &&
    response !== null &&
    "ok" in response &&
    response.ok === true &&
    "correlationId" in response &&
    typeof response.correlationId === "string"
  );
}

/** Whether an answer says that the action was refused or failed. */
export function isPrivilegedActionErrorResponse(
  response: unknown,
): response is PrivilegedActionErrorResponse {
  return (
    typeof response === "object" &&
    response !== null &&
    "ok" in response &&
    response.ok === false &&
    "correlationId" in response &&
    typeof response.correlationId === "string" &&
    "error" in response &&
    typeof response.error === "string"
  );
}

/** The result of an action that was done; throws an Error with `code` and `correlationId` for one that was not. */
export function unwrapPrivilegedActionResponse<Result = unknown>(
  response: PrivilegedActionResponse<Result>,
): Result | undefined {
  if (response.ok) return response.result;
  throw Object.assign(new Error(response.error), {
    code: response.code,
    correlationId: response.correlationId,
    details: response.details,
  });
}

/** A refusal or failure as text for people. */
export function formatPrivilegedActionError(
  response: unknown,
  options: { readonly context?: string; readonly includeCorrelationId?: boolean } = {},
): string {
  const fields = new Map<string, unknown>(
    typeof response === "object" && response !== null ? Object.entries(response) : [],
  );
  const details = fields.get("details");
  const told = new Map<string, unknown>(
    typeof details === "object" && details !== null ? Object.entries(details) : [],
  );
  const violation = told.get("scopeViolation");
  const reason =
    typeof violation === "object" && violation !== null && "reason" in violation
      ? violation.reason
      : undefined;
  const error = fields.get("error");
  const code = fields.get("code");
  const correlationId = fields.get("correlationId");
  const step = told.get("stepId");
  return [
    options.context === undefined ? "" : `${options.context}: `,
    typeof error === "string" && error !== "" ? error : "Unknown host error",
    typeof code === "string" ? ` [${code}${typeof reason === "string" ? `: ${reason}` : ""}]` : "",
    typeof step === "string" ? ` at step "${step}"` : "",
    options.includeCorrelationId !== false && typeof correlationId === "string"
      ? ` (correlation id ${correlationId})`
      : "",
  ].join("");
}

/** Source of {@link formatPrivilegedActionError} as an expression, for pages that are made as text. */
export function getInlinePrivilegedActionErrorFormatterSource(): string {
  return `(${formatPrivilegedActionError.toString()})`;
}
