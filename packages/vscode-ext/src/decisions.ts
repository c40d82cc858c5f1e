import { window } from "vscode";
import { DoorwardError, toDoorwardError, type PendingApproval } from "@doorward/contracts";
import type { BridgeWatch, Decision } from "./bridge-watch.ts";
import { dialogText, unlinked } from "./effect-text.ts";

/** Times for which exactly the same can be approved. */
const TIMES = [
  { label: "10 minutes", time: "10m" },
  { label: "1 hour", time: "1h" },
  { label: "8 hours", time: "8h" },
] as const;

/** What deciding works with. */
export interface DecisionParts {
  readonly watch: BridgeWatch;
  /** Shows the full effect; it is on the screen when this resolves. */
  readonly show: (id: string) => Promise<void>;
}

/** Asks whether to approve exactly what is shown, once. */
export async function approve(parts: DecisionParts, id: string): Promise<void> {
  const pending = waiting(parts, id);
  await parts.show(id);
  await decide(parts, pending, "Approve", { kind: "approve", digest: pending.digest, time: null });
}

/** Asks whether, and for how long, to approve exactly what is shown. */
export async function approveFor(parts: DecisionParts, id: string): Promise<void> {
  const pending = waiting(parts, id);
  if (!pending.lasting) {
    const message = `Cannot approve "${id}" for a time: what it asks may be approved only once`;
    throw new DoorwardError({ code: "INPUT_INVALID", message });
  }
  await parts.show(id);
  const title = "For how long is exactly the same approved for the same asker?";
  const picked = await window.showQuickPick([...TIMES], { title });
  if (picked === undefined) return;
  const { label, time } = picked;
  await decide(parts, pending, `Approve for ${label}`, { kind: "approve", digest: pending.digest, time });
}

/** Asks whether to refuse; a refusal is final for what asked. */
export async function deny(parts: DecisionParts, id: string): Promise<void> {
  await decide(parts, waiting(parts, id), "Deny", { kind: "deny" });
}

/** Shows why something could not be done. */
export async function explain(error: unknown): Promise<void> {
  const { message, hint } = toDoorwardError(error);
  await window.showErrorMessage(
    unlinked(hint === undefined ? message : `${message}. In a terminal: ${hint}`),
  );
}

/** The digest is of what was shown when the question came up: what changed meanwhile is refused by the bridge. */
async function decide(
  { watch }: DecisionParts,
  pending: PendingApproval,
  word: string,
  decision: Decision,
): Promise<void> {
  const detail = dialogText(pending);
  const answer = await window.showWarningMessage(`${word}?`, { modal: true, detail }, word);
  if (answer === word) await watch.decide(pending.id, decision);
}

function waiting({ watch }: DecisionParts, id: string): PendingApproval {
  const { state } = watch;
  if (state.kind !== "watching") throw state.error;
  const pending = watch.pending(id);
  if (pending !== undefined) return pending;
  const message = `Cannot decide "${id}": nothing of this id is pending`;
  throw new DoorwardError({ code: "APPROVAL_NOT_FOUND", message });
}
