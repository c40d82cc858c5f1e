export { approvalDigest } from "./approval-digest.ts";
export { Approvals, type ApprovalsOptions } from "./approvals.ts";
export { PENDING_PER_ASKER, PENDING_PER_MACHINE, PENDING_TOTAL } from "./pending-limits.ts";
export { LONGEST_APPROVAL_SECONDS } from "./pending-view.ts";
export type {
  ApprovalAsk,
  ApprovalEvidence,
  ApprovalGiven,
  DecidedWhere,
  Notifier,
  Question,
} from "./ports.ts";
