import * as z from "zod";
import { GrantId, Timestamp } from "../text.ts";
import { Count, Note, grantScope, recordFields } from "./common.ts";

const grant = GrantId.describe("The grant that the record is about");

/** A grant was made by the operator. */
export const GrantMintedPredicate = z.strictObject({
  ...recordFields,
  grant,
  ...grantScope,
  implicit: z.boolean().describe("Whether the bridge made it for one command of the operator"),
});

/** A holder made a narrower child of its grant. */
export const GrantNarrowedPredicate = z.strictObject({
  ...recordFields,
  grant,
  ...grantScope,
  parent: GrantId.describe("The grant it was made from"),
});

/** A grant's end was moved. */
export const GrantRenewedPredicate = z.strictObject({
  ...recordFields,
  grant,
  previousExpiresAt: Timestamp.describe("When it would have ended"),
  expiresAt: Timestamp.describe("When it ends now"),
});

/** A grant was revoked, and what was cut with it. */
export const GrantRevokedPredicate = z.strictObject({
  ...recordFields,
  grant,
  reason: Note.nullable().describe("Why, in the revoker's words; null when none was given"),
  cause: z.enum(["command", "parent", "policy", "machine-end", "connection-end"]).describe("What revoked it"),
  sessionsCut: Count.describe("Open sessions that were closed"),
});

/** A grant's time was over. */
export const GrantExpiredPredicate = z.strictObject({
  ...recordFields,
  grant,
  sessionsCut: Count.describe("Open sessions that were closed"),
});
