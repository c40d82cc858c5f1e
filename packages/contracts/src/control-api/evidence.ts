import * as z from "zod";
import { Timestamp } from "../text.ts";
import { route } from "./route.ts";

/** One record in a listing. */
export const EvidenceRow = z.strictObject({
  index: z.int().describe("Index of the leaf"),
  at: z.string().max(40).describe("When"),
  type: z.string().max(60).describe("Kind of record, e.g. launch"),
  subject: z.string().max(200).nullable().describe("Who"),
  machine: z.string().max(60).nullable().describe("Name of the machine"),
  summary: z.string().max(1000).describe("One line for people, control characters escaped"),
});
export type EvidenceRow = z.infer<typeof EvidenceRow>;

const KeyId = z
  .string()
  .regex(/^[a-f0-9]{64}$/)
  .describe("SHA-256 of the key's SubjectPublicKeyInfo (DER), hex");

/** The key that signs evidence, and the keys before it. */
export const EvidenceKeyView = z.strictObject({
  vkey: z.string().max(600).describe("Verifier key line (C2SP signed-note); its name is the log's origin"),
  keyId: KeyId,
  origin: z.string().max(300).describe("Name of the log"),
  path: z.string().max(4096).describe("File of the private key"),
  mode: z.string().max(8).describe("Mode of that file, octal"),
  since: Timestamp.nullable().describe("When it began to sign; null when nothing is recorded yet"),
  rotations: z
    .array(
      z.strictObject({
        index: z.int().describe("Record that both keys signed"),
        at: Timestamp.describe("When"),
        previous: KeyId.describe("Key id before"),
        next: KeyId.describe("Key id behind"),
        reason: z.string().max(500).nullable().describe("Why; null when none was given"),
      }),
    )
    .max(1000)
    .describe("Key rotations, newest first"),
});
export type EvidenceKeyView = z.infer<typeof EvidenceKeyView>;

/** How a witness of this log stands. */
export const EvidenceWitnessView = z.strictObject({
  name: z.string().max(300).describe("Name of the witness"),
  place: z.string().max(4096).describe("Its folder, or the submission prefix of its service"),
  size: z.int().describe("Records under its newest cosignature; 0 without any"),
  at: Timestamp.nullable().describe("When it cosigned; null without any"),
  problem: z
    .string()
    .max(1000)
    .nullable()
    .describe("Why the last attempt gave no cosignature; null when it did"),
});
export type EvidenceWitnessView = z.infer<typeof EvidenceWitnessView>;

/** Routes of evidence; verification needs no bridge and is done by the command itself. */
export const EVIDENCE_ROUTES = {
  "evidence.list": route({
    method: "GET",
    path: "/v1/evidence",
    access: "operator",
    summary: "Records, newest first",
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(1000).optional(),
      before: z.coerce.number().int().min(0).optional(),
      type: z.string().max(60).optional(),
      machine: z.string().max(60).optional(),
      grant: z.string().max(60).optional(),
      since: Timestamp.optional().describe("Only records of this time or later"),
    }),
    result: z.strictObject({ records: z.array(EvidenceRow), size: z.int() }),
  }),
  "evidence.show": route({
    method: "GET",
    path: "/v1/evidence/{index}",
    access: "operator",
    summary: "One record with its envelope",
    params: z.strictObject({ index: z.coerce.number().int().min(0) }),
    result: z.strictObject({
      index: z.int(),
      statement: z.record(z.string(), z.unknown()),
      envelope: z.record(z.string(), z.unknown()),
    }),
  }),
  "evidence.checkpoint": route({
    method: "GET",
    path: "/v1/evidence/checkpoint",
    access: "operator",
    summary: "Newest signed checkpoint, after everything durable",
    result: z.strictObject({
      checkpoint: z.string(),
      vkey: z.string(),
      dir: z.string().describe("Folder of the log"),
    }),
  }),
  "evidence.key": route({
    method: "GET",
    path: "/v1/evidence/key",
    access: "operator",
    summary: "The key that signs evidence, and its rotations",
    result: EvidenceKeyView,
  }),
  "evidence.rotate": route({
    method: "POST",
    path: "/v1/evidence/key",
    access: "operator",
    summary: "Exchange the signing key, with a record that both keys sign",
    body: z.strictObject({ reason: z.string().max(500).nullable() }),
    result: EvidenceKeyView,
  }),
  "evidence.witness": route({
    method: "POST",
    path: "/v1/evidence/witnesses",
    access: "operator",
    summary: "Have the newest checkpoint cosigned by every witness now",
    result: z.strictObject({ witnesses: z.array(EvidenceWitnessView).max(20) }),
  }),
} as const;
