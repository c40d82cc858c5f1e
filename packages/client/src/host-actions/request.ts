import type { HostActionRequest } from "@doorward/contracts";
import type { PrivilegedActionResponse, RequestPrivilegedActionOptions } from "./types.ts";

/**
 * Sends a request to the host through `window.createBackendReq` and resolves with its answer; what is no answer becomes a
 * failure with a code of the backend. Rejects where there is no such function. Pages are given its source, so it uses
 * nothing that is not in it.
 */
export async function requestPrivilegedAction<Result = unknown>(
  request: HostActionRequest,
  options: RequestPrivilegedActionOptions = {},
): Promise<PrivilegedActionResponse<Result>> {
  const page: unknown = Reflect.get(globalThis, "window");
  const send: unknown =
    typeof page === "object" && page !== null ? Reflect.get(page, "createBackendReq") : undefined;
  if (typeof send !== "function")
    throw new Error("Cannot request a privileged action: window.createBackendReq is not available here");
  const prefix = (options.correlationIdPrefix ?? "privileged-action")
    .trim()
    .replace(/[^a-zA-Z0-9._-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const correlationId =
    options.correlationId ?? `${prefix === "" ? "privileged-action" : prefix}-${Date.now()}`;
  const handler = options.handler ?? "requestPrivilegedAction";
  const answer: unknown = await Reflect.apply(send, page, [handler, { correlationId, request }]);
  if (typeof answer !== "object" || answer === null)
    return {
      ok: false,
      correlationId,
      error: "The host gave no answer",
      code: "PLUGIN_BACKEND_EMPTY_RESPONSE",
    };
  const ok: unknown = Reflect.get(answer, "ok");
  const id: unknown = Reflect.get(answer, "correlationId");
  const result: unknown = Reflect.get(answer, "result");
  if (ok === true && typeof id === "string")
    return { ok, correlationId: id, ...(result === undefined ? {} : { result }) } as never;
  const error: unknown = Reflect.get(answer, "error");
  const code: unknown = Reflect.get(answer, "code");
  const details: unknown = Reflect.get(answer, "details");
  return {
    ok: false,
    correlationId: typeof id === "string" ? id : correlationId,
    error: typeof error === "string" && error !== "" ? error : "The host's answer has no known shape",
    code: typeof code === "string" ? code : "PLUGIN_BACKEND_HANDLER_FAILED",
    ...(typeof details === "object" && details !== null ? { details: { ...details } } : {}),
    ...(result === undefined ? {} : { result }),
  };
}
