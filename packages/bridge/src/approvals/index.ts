export { approvalDigest } from "./approval-digest.ts";
export {
  Approvals,
  PENDING_PER_ASKER,
  PENDING_PER_MACHINE,
  PENDING_TOTAL,
  type ApprovalsOptions,
} from "./approvals.ts";
export { LONGEST_APPROVAL_SECONDS } from "./pending-view.ts";
export type {
  ApprovalAsk,
  ApprovalEvidence,
  ApprovalGiven,
  DecidedWhere,
  Notifier,
  Question,
} from "./ports.ts";
