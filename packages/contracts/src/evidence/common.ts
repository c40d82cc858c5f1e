import * as z from "zod";
import { GrantId, HostPath, MachineId, MachineName, Sha256, Subject, Timestamp } from "../text.ts";

/** Id of one evidence record: its leaf index in the log, then 8 random characters. */
export const RecordId = z
  .string()
  .regex(/^e_(?:0|[1-9][0-9]{0,14})_[a-z2-7]{8}$/)
  .describe("Id of the record: e_<leaf index>_<8 random characters>");

/** Ties the records of one request, launch or session together. */
export const CorrelationId = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,160}$/)
  .describe("Id that all records of one request, launch or session share");

/** The machine that a record is about. */
export const RecordMachine = z
  .strictObject({ id: MachineId, name: MachineName })
  .describe("The machine that the record is about");

/** Name of a door, of an operation or of another word of our closed lists. */
export const Word = z
  .string()
  .regex(/^[a-z][a-z0-9.*-]{0,79}$/)
  .describe("A word of one of Doorward's closed lists");

/** A short text for people; never a secret, file content or command output. */
export const Note = z.string().max(500).describe("Short text for people, without secrets");

/** A count that fits a JSON number exactly. */
export const Count = z.int().min(0).describe("A count");

/** Something too big or too private for a record, by digest and where it is kept. */
export const Reference = z.strictObject({
  digest: Sha256,
  bytes: Count.describe("Its length in bytes"),
  path: z
    .string()
    .max(500)
    .nullable()
    .describe("Where it lies below the evidence folder, as referenced/<sha256>; null when not kept"),
  mediaType: z
    .string()
    .regex(/^[a-z0-9.+-]{1,60}\/[a-z0-9.+-]{1,60}$/)
    .optional()
    .describe("Media type of its contents; absent when nobody said"),
});
export type Reference = z.infer<typeof Reference>;

/** Id of a request that waits, or waited, for somebody's decision. */
export const ApprovalId = z
  .string()
  .regex(/^a_[a-z0-9]{10,32}$/)
  .describe("Id of the pending request");

/** Error code of a refusal or failure. */
export const Code = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{1,60}$/)
  .describe("Error code");

/** A plugin as it was verified: id, version and digest of its artefact. */
export const RecordPlugin = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,120}$/)
      .describe("Id of the plugin"),
    version: z.string().min(1).max(80).describe("Its version, as its manifest says"),
    digest: Sha256.describe("SHA-256 of its artefact"),
  })
  .describe("The plugin: id, version and digest of its artefact");

/** Digest of something that may hold secrets: keyed, so that short or guessable contents can't be found from it. */
export const KeyedDigest = Sha256.describe(
  "HMAC-SHA-256 with a key only the bridge has, so that what it is of can't be guessed from it",
);

/** Beside the outcome `bridge-lost`: the next bridge recorded what the one before had noted when it began. */
export const beganAt = Timestamp.optional().describe(
  "When it began; only with bridge-lost: `at` is then when the next bridge recorded it, and counts and times are 0",
);

/** What every record says: which, when, who, where, under which grant and policy. */
export const recordFields = {
  recordId: RecordId,
  correlationId: CorrelationId,
  at: Timestamp.describe("When the record was appended; never before the record in front of it"),
  subject: Subject,
  machine: RecordMachine.nullable().describe("The machine that the record is about; null when none"),
  grant: GrantId.nullable().describe("The grant that was used or changed; null when none"),
  policyHash: Sha256.nullable().describe("Digest of the policy in force; null when none was loaded"),
};

/** What a grant lets its holder do, as far as evidence keeps it. */
export const grantScope = {
  grantee: Subject.describe("Who holds the grant"),
  doors: z.array(Word).max(50).describe("Doors that it opens"),
  operations: z.array(Word).max(200).describe("Operations that it allows"),
  paths: z.array(HostPath).max(100).describe("Repo paths that it covers, resolved, on the host"),
  capabilities: z
    .array(z.string().min(1).max(120))
    .max(64)
    .optional()
    .describe("Actions on the host that it lets ask for; none when absent"),
  tools: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$/))
    .max(200)
    .optional()
    .describe("Tools that it lets call; those of its operations when absent"),
  expiresAt: Timestamp.describe("When it ends"),
};
