import type { ActionCode } from "@doorward/contracts";
import { ActionError } from "./action-error.ts";

/** A refusal because something lies outside its scope in a way that no other reason names, or is no longer what was judged. */
export function outsideScope(message: string): ActionError {
  const violation = { reason: "SCOPE_POLICY_VIOLATION", message: message.slice(0, 1000) } as const;
  return new ActionError({ code: "SCOPE_VIOLATION", message, scopeViolation: violation });
}

/** A failure of the host itself. */
export function hostFailure(message: string, cause?: unknown, code: ActionCode = "OS_ERROR"): ActionError {
  return new ActionError({ code, message }, { cause });
}

/** The system's word for an error, e.g. `EACCES`; null for one that has none. */
export function systemCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** What a thrown thing says. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
