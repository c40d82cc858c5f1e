import type { HostActionRequest } from "@doorward/contracts";
import type { PrivilegedActionBackendRequest, RequestPrivilegedActionOptions } from "./types.ts";

/** A correlation id: the prefix, cleaned, and the time. Two of the same millisecond are alike, so it is no key. */
export function createPrivilegedActionCorrelationId(prefix = "privileged-action"): string {
  const clean = prefix
    .trim()
    .replace(/[^a-zA-Z0-9._-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return `${clean === "" ? "privileged-action" : clean}-${Date.now()}`;
}

/** What a transport would carry, without sending it. */
export function createPrivilegedActionBackendRequest<Request = HostActionRequest>(
  request: Request,
  options: RequestPrivilegedActionOptions = {},
): PrivilegedActionBackendRequest<Request> {
  const correlationId =
    options.correlationId ?? createPrivilegedActionCorrelationId(options.correlationIdPrefix);
  return { correlationId, request };
}
