import { window } from "vscode";
import type { PendingApproval } from "@doorward/contracts";
import type { BridgeState, BridgeWatch } from "./bridge-watch.ts";
import { unlinked } from "./effect-text.ts";

const SHOW = "Show";

/** Tells once of each question that is new. A notice decides nothing: it leads to the full effect. */
export function tellOfNew(watch: BridgeWatch, show: (id: string) => Promise<void>): Disposable {
  let known = new Set<string>();
  const look = (state: BridgeState): void => {
    const approvals = state.kind === "watching" ? state.approvals : [];
    const fresh = approvals.filter(({ id }) => !known.has(id));
    known = new Set(approvals.map(({ id }) => id));
    for (const pending of fresh) void tell(pending, show);
  };
  look(watch.state);
  return watch.onState(look);
}

async function tell(pending: PendingApproval, show: (id: string) => Promise<void>): Promise<void> {
  const { id, title, requestedBy } = pending;
  const answer = await window.showWarningMessage(unlinked(`${requestedBy} asks: ${title}`), SHOW);
  if (answer === SHOW) await show(id);
}
