import {
  DoorName,
  GrantId,
  ServedGrant,
  MachineName,
  Sha256,
  Subject,
  Timestamp,
  HostPath,
} from "@doorward/contracts";
import * as z from "zod";

/** How and why a grant ended. */
export const GrantEnd = z.strictObject({
  status: z.enum(["expired", "revoked"]),
  at: Timestamp,
  reason: z.string().max(300),
  cause: z.enum(["time", "command", "parent", "policy", "machine-end", "connection-end"]),
  by: Subject.nullable(),
  sessionsCut: z.int().min(0),
  /** Whether its record is in the evidence; what is missing after a crash is appended at the next start. */
  recorded: z.boolean(),
});
export type GrantEnd = z.infer<typeof GrantEnd>;

/** A grant as the store keeps it: the document, and what the bridge alone needs to know. */
export const StoredGrant = z.strictObject({
  grant: ServedGrant,
  /** Hash of the token; null for an implicit grant, which has none. */
  tokenHash: Sha256.nullable(),
  implicit: z.boolean(),
  /** Steps from the grant that the operator minted. */
  depth: z.int().min(0),
  /** The machine when it was minted. */
  machine: z.strictObject({
    name: MachineName,
    profile: z.string().max(80),
    repoHostPaths: z.array(HostPath).max(64),
    doors: z.array(DoorName).max(8),
  }),
  /** Monotonic deadline, good in its epoch only; `spentMs` bounds what is left in a later one. */
  time: z.strictObject({
    epoch: z.string().max(80),
    startedAt: z.number(),
    lifetimeMs: z.number().min(0),
    spentMs: z.number().min(0),
    /** Seconds that were asked for; what the policy judges again when it changes. */
    seconds: z.int().min(1),
  }),
  end: GrantEnd.nullable(),
  lastUsedAt: Timestamp.nullable(),
});
export type StoredGrant = z.infer<typeof StoredGrant>;

/**
 * Ends of many grants in one small document, so that persisting a revocation takes as long for a thousand as for one.
 * It lives until each grant's own document has its end.
 */
export const StoredEnds = z.strictObject({
  id: z.string().max(40),
  ends: z.array(z.strictObject({ grantId: GrantId, end: GrantEnd })),
});
export type StoredEnds = z.infer<typeof StoredEnds>;
