import { DenialError, DoorwardError, ERRORS, type Problem } from "@doorward/contracts";

const errorType = "urn:doorward:error:";

/** An error as RFC 9457 problem document: the one place where errors become wire objects. */
export function problemOf(error: DoorwardError, correlationId?: string): Problem {
  return {
    type: errorType + error.code,
    title: ERRORS[error.code].when,
    status: error.entry.status,
    detail: clip(error.message, 8000),
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: clip(error.hint, 4000) }),
    ...(error instanceof DenialError ? { rule: clip(error.rule, 300) } : {}),
    ...detailsOf(error),
    ...(correlationId === undefined ? {} : { correlationId }),
  };
}

/** Close code and reason of a socket that ends because of an error; a reason is 123 bytes at most. */
export function closeOf(error: DoorwardError): { readonly code: number; readonly reason: string } {
  return { code: error.entry.close, reason: error.code };
}

/** Headers that belong to a problem, beside its own type. */
export function problemHeaders(error: DoorwardError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (error.entry.status === 401) headers["www-authenticate"] = challenge(error);
  if (error.entry.status === 429 || error.entry.status === 503) headers["retry-after"] = "1";
  const allow = error.details?.["allow"];
  if (error.code === "METHOD_NOT_ALLOWED" && typeof allow === "string") headers["allow"] = allow;
  return headers;
}

/** The message of a fault of ours without its inner cause, which goes to the log only. */
export function publicError(error: DoorwardError): DoorwardError {
  if (error.code !== "INTERNAL") return error;
  return new DoorwardError({
    code: "INTERNAL",
    message: "Cannot finish the request: a fault of the bridge",
    hint: "Look for the correlation id in the bridge's log",
    cause: error,
  });
}

function challenge(error: DoorwardError): string {
  if (error.code === "TOKEN_MISSING") return 'Bearer realm="doorward"';
  return `Bearer realm="doorward", error="invalid_token", error_description="${error.code}"`;
}

function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** Details as plain JSON; what JSON can't say is left out rather than breaking the answer. */
function detailsOf(error: DoorwardError): { readonly details?: Record<string, unknown> } {
  if (error.details === undefined) return {};
  try {
    const copy: unknown = JSON.parse(JSON.stringify(error.details));
    return typeof copy === "object" && copy !== null ? { details: { ...copy } } : {};
  } catch {
    return {};
  }
}
