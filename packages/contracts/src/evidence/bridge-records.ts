import * as z from "zod";
import { Count, Note, recordFields } from "./common.ts";

/** A signing key: id and public half. */
export const RecordKey = z.strictObject({
  keyId: z
    .string()
    .regex(/^[a-f0-9]{64}$/)
    .describe("SHA-256 of the key's SubjectPublicKeyInfo (DER), hex"),
  publicKey: z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/)
    .describe("The raw Ed25519 public key (32 bytes), base64"),
});

/** The bridge started; it can append. */
export const BridgeStartPredicate = z.strictObject({
  ...recordFields,
  version: z.string().max(80).describe("Version of the bridge"),
  previous: z
    .enum(["none", "clean", "crashed"])
    .describe("How the run before this one ended; none for the first"),
  machinesAdopted: Count.describe("Running machines that were adopted"),
  machinesReaped: Count.describe("Leftover containers that were removed"),
  grade: z
    .enum(["full", "reduced", "weak"])
    .nullable()
    .describe("Host enforcement grade; null when not measured yet"),
});

/** The bridge stopped in good order. */
export const BridgeStopPredicate = z.strictObject({
  ...recordFields,
  reason: z.enum(["command", "signal", "upgrade", "idle"]).describe("Why it stopped"),
  machinesRunning: Count.describe("Machines that go on without it"),
});

/** The log's key was exchanged; the envelope of this record is signed by both keys. */
export const KeyRotationPredicate = z.strictObject({
  ...recordFields,
  previousKey: RecordKey.describe("The key that signed until this record"),
  nextKey: RecordKey.describe("The key that signs after this record"),
  reason: Note.nullable().describe("Why; null when none was given"),
});
