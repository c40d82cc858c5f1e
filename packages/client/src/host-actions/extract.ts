import { validateHostPrivilegedActionRequest } from "./validate.ts";
import type { HostActionRequest } from "@doorward/contracts";

/**
 * The request in what a backend handler answered: `{correlationId, request}`, the same in `result`, `content` or `data`,
 * or the bare request. Throws an Error for a failure of the backend and for what holds no valid request.
 */
export function extractPrivilegedActionRequest(payload: unknown): HostActionRequest {
  const fields = fieldsOf(payload);
  if (fields.has("action")) return validateHostPrivilegedActionRequest(payload);
  if (fields.get("ok") === false || fields.get("success") === false || fields.has("error"))
    throw failure(fields);
  if (fields.has("request")) return validateHostPrivilegedActionRequest(fields.get("request"));
  for (const name of ["result", "content", "data"]) {
    const inner = fieldsOf(fields.get(name));
    if (inner.has("request")) return validateHostPrivilegedActionRequest(inner.get("request"));
  }
  throw Object.assign(new Error("Cannot find a privileged action request in the backend's answer"), {
    code: "VALIDATION_FAILED",
  });
}

function failure(fields: ReadonlyMap<string, unknown>): Error {
  const [error, code] = [fields.get("error"), fields.get("code")];
  return Object.assign(new Error(typeof error === "string" ? error : "The plugin's backend failed"), {
    code: typeof code === "string" ? code : "PLUGIN_BACKEND_HANDLER_FAILED",
  });
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map<string, unknown>(typeof value === "object" && value !== null ? Object.entries(value) : []);
}
