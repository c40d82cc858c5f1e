export { bringBranch, bringPatch, type BringRequest } from "./bring-changes.ts";
export {
  collectChanges,
  type CollectRequest,
  type ReviewLimits,
  type ReviewTarget,
  type RunInMachine,
} from "./collect-changes.ts";
export { escapeText } from "./escape-text.ts";
export {
  createReviewClone,
  holdReviewClone,
  removeReviewClone,
  type ReviewClone,
  type ReviewCloneRequest,
} from "./review-clone.ts";
export { hasUnreviewedChanges } from "./unreviewed.ts";
