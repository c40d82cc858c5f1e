import type { ActionCode } from "@doorward/contracts";
import { ActionError } from "./action-error.ts";
import type { Ending } from "./audit.ts";
import type { ActionDone } from "./flow-ports.ts";

const REFUSALS: ReadonlySet<ActionCode> = new Set<ActionCode>([
  "VALIDATION_FAILED",
  "CAPABILITY_DENIED",
  "SCOPE_DENIED",
  "SCOPE_VIOLATION",
  "STEP_SCOPE_VIOLATION",
  "ACTION_NOT_SUPPORTED",
]);

/** How an action ended that failed with a code; a refusal is one only until it was allowed. */
export function outcomeOf(code: ActionCode, judged: boolean): Ending["outcome"] {
  if (code === "CANCELLED" || code === "STEP_CANCELLED") return "cancelled";
  if (code === "TIMEOUT" || code === "STEP_TIMEOUT") return "timed-out";
  return !judged && REFUSALS.has(code) ? "refused" : "failed";
}

/** An end without a failure and without numbers. */
export function success(result: unknown): ActionDone {
  return { result, failure: null, exitCode: null, stdoutBytes: 0, stderrBytes: 0, bytes: 0 };
}

/** The failure of what is not done after all. */
export function cancelled(message: string): ActionError {
  return new ActionError({ code: "CANCELLED", message });
}
