import * as z from "zod";

const Base64 = z.string().regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);

/** A DSSE envelope around an in-toto Statement: one leaf of the log. */
export const EvidenceEnvelope = z
  .strictObject({
    payload: Base64.describe("The Statement as canonical JSON (RFC 8785), base64"),
    payloadType: z.literal("application/vnd.in-toto+json").describe("Media type of the payload"),
    signatures: z
      .array(
        z.strictObject({
          keyid: z
            .string()
            .regex(/^[a-f0-9]{64}$/)
            .describe("SHA-256 of the key's SubjectPublicKeyInfo (DER), hex"),
          sig: Base64.describe("Ed25519 signature over the pre-authentication encoding, base64"),
        }),
      )
      .min(1)
      .max(2)
      .describe("One signature; two (old key, new key) on a key rotation"),
  })
  .describe("A DSSE envelope around an in-toto Statement: one leaf of the log");
export type EvidenceEnvelope = z.infer<typeof EvidenceEnvelope>;
