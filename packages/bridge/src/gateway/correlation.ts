import { randomBytes } from "node:crypto";

/** A new correlation id: in the answer, in the log and in evidence. Always ours, never the caller's. */
export function newCorrelationId(): string {
  return `c_${randomBytes(9).toString("base64url")}`;
}

/** A new session id. */
export function newSessionId(): string {
  return `s_${randomBytes(10).toString("hex")}`;
}
