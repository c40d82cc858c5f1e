export { approvalDigest } from "./approval-digest.ts";
export {
  Approvals,
  LONGEST_APPROVAL_SECONDS,
  PENDING_PER_ASKER,
  PENDING_TOTAL,
  type ApprovalsOptions,
} from "./approvals.ts";
export type {
  ApprovalAsk,
  ApprovalEvidence,
  ApprovalGiven,
  DecidedWhere,
  Notifier,
  Question,
} from "./ports.ts";
