import { ApprovalId, PendingApproval, Sha256, Subject, Timestamp } from "@doorward/contracts";
import * as z from "zod";

/** A pending decision as stored, so that a bridge that was killed can say what became of it. */
export const StoredApproval = z.strictObject({
  view: PendingApproval,
  grant: z.string().max(60).nullable(),
  correlationId: z.string().max(80),
});
export type StoredApproval = z.infer<typeof StoredApproval>;

/** An approval that holds for a time, for one asker and one shape. */
export const StandingApproval = z.strictObject({
  id: ApprovalId,
  by: Subject,
  key: Sha256,
  digest: Sha256,
  expiresAt: Timestamp,
  /** The same end by the clock that nobody sets, while this host runs; absent where an older bridge stored it. */
  run: z.strictObject({ epoch: z.string().max(60), endsAt: z.int() }).optional(),
});
export type StandingApproval = z.infer<typeof StandingApproval>;
