import { DenialError, type PendingApproval } from "@doorward/contracts";
import type { ApprovalAsk } from "./ports.ts";

/** Most decisions that one asker may have pending; more are refused at once. */
export const PENDING_PER_ASKER = 20;
/** Most decisions that may be pending for one machine, whatever its askers call themselves. */
export const PENDING_PER_MACHINE = 60;
/** Most decisions that may be pending together. */
export const PENDING_TOTAL = 200;
/** Characters shown for one machine, and together, beyond which nothing more is asked: whoever watches is sent all of them at each change. */
const SHOWN_PER_MACHINE = 4_194_304;
const SHOWN_TOTAL = 33_554_432;

/** What waits for a decision, as far as its limits go. */
interface Waiting {
  readonly ask: ApprovalAsk;
  readonly view: PendingApproval;
}

/** Refuses one more question where too much waits already (RATE_LIMITED). */
export function refuseMany(
  { operation, requestedBy, machine }: ApprovalAsk,
  waiting: readonly Waiting[],
): void {
  const here = waiting.filter(({ ask }) => ask.machine?.id === machine?.id);
  const same = here.filter(({ ask }) => ask.requestedBy === requestedBy);
  // Holders may name their children: many names of one machine leave room for the others.
  const crowd = machine === null ? null : crowdOf(here, machine.name);
  const isFull = waiting.length >= PENDING_TOTAL || shownBy(waiting) >= SHOWN_TOTAL;
  if (same.length < PENDING_PER_ASKER && crowd === null && !isFull) return;
  throw new DenialError({
    code: "RATE_LIMITED",
    rule: "approvals.pending",
    message: `Cannot ask for "${operation}": ${crowd ?? `${same.length} decisions of "${requestedBy}" are pending already`}`,
    hint: "doorward action ls",
  });
}

/** Why nothing more is asked for a machine; null when there is room. */
function crowdOf(waiting: readonly Waiting[], machine: string): string | null {
  if (waiting.length >= PENDING_PER_MACHINE)
    return `${waiting.length} decisions of machine "${machine}" are pending already`;
  return shownBy(waiting) >= SHOWN_PER_MACHINE
    ? `what waits for machine "${machine}" is too long already`
    : null;
}

/** Characters that are shown of what waits. */
function shownBy(waiting: readonly Waiting[]): number {
  return waiting.reduce((sum, { view }) => view.lines.reduce((length, line) => length + line.length, sum), 0);
}
