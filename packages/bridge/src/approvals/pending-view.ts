import { DenialError, DoorwardError, type PendingApproval } from "@doorward/contracts";
import { escapeControls } from "../evidence/index.ts";
import { approvalDigest } from "./approval-digest.ts";
import type { ApprovalAsk } from "./ports.ts";

/** Longest time of an approval, in seconds. */
export const LONGEST_APPROVAL_SECONDS = 86_400;

/** What is shown of a question that was asked at this time. */
export function viewOf(id: string, ask: ApprovalAsk, at: number): PendingApproval {
  return {
    id,
    operation: ask.operation,
    requestedBy: ask.requestedBy,
    machine: ask.machine,
    title: escapeControls(ask.title).slice(0, 300),
    lines: fullLines(ask),
    digest: approvalDigest(ask),
    lasting: ask.shape !== null,
    requestedAt: new Date(at).toISOString(),
    expiresAt: new Date(at + ask.seconds * 1000).toISOString(),
  };
}

/** What does not fit to be shown can't be asked: nobody approves what he did not see. */
function fullLines(ask: ApprovalAsk): string[] {
  const lines = ask.lines.map(escapeControls);
  if (lines.length <= 2000 && lines.every((line) => line.length <= 2000) && ask.title.length <= 300)
    return lines;
  throw new DenialError({
    code: "INPUT_TOO_LARGE",
    rule: "approvals.shown",
    message: `Cannot ask for "${ask.operation}": its effect is too long to be shown`,
  });
}

/** Until when an approval for so many seconds from now holds; null for once. */
export function expiryOf(
  { id, lasting }: PendingApproval,
  seconds: number | null,
  now: number,
): string | null {
  if (seconds === null) return null;
  if (!lasting || seconds > LONGEST_APPROVAL_SECONDS) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: lasting
        ? `Cannot approve "${id}" for so long: at most 24 hours`
        : `Cannot approve "${id}" for a time: what it asks may be approved only once`,
      hint: `doorward action approve ${id}`,
    });
  }
  return new Date(now + seconds * 1000).toISOString();
}

/** The error for an approval of something else than is asked by now. */
export function changed(id: string): DoorwardError {
  return new DoorwardError({
    code: "APPROVAL_CHANGED",
    message: `Cannot approve "${id}": what it asks changed since it was shown`,
    hint: "doorward action ls",
  });
}

/** Who or what ended a question: the operator's no, the time, or that it was withdrawn, which nobody said no to. */
export type RefusalRule = "approvals.operator" | "approvals.time" | "approvals.withdrawn";

/** The refusal that whoever asked gets. */
export function refusal(
  { id, title, operation }: PendingApproval,
  why: string,
  rule: RefusalRule,
): DenialError {
  return new DenialError({
    code: "APPROVAL_DENIED",
    rule,
    message: `Cannot do "${operation}" (${title}): ${why}`,
    details: { approval: id },
  });
}
