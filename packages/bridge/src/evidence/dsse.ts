import { verify } from "node:crypto";
import { DoorwardError, EvidenceEnvelope } from "@doorward/contracts";
import type { EvidenceKey, EvidencePublicKey } from "./key.ts";

/** Media type of an in-toto Statement. */
export const PAYLOAD_TYPE = "application/vnd.in-toto+json";

/** One signature of an envelope. */
export interface EnvelopeSignature {
  readonly keyId: string;
  readonly signature: Buffer;
}

/** An envelope, taken apart. */
export interface OpenedEnvelope {
  readonly payload: Buffer;
  readonly signatures: readonly EnvelopeSignature[];
}

/** What DSSE signs: the pre-authentication encoding of payload type and payload. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  const head = `DSSEv1 ${String(type.length)} ${payloadType} ${String(payload.length)} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** Signs a payload with each key and returns the envelope as canonical JSON. */
export async function signEnvelope(payload: Uint8Array, keys: readonly EvidenceKey[]): Promise<Buffer> {
  const data = preAuthEncoding(PAYLOAD_TYPE, payload);
  const signatures = await Promise.all(
    keys.map(async (key) => ({ keyId: key.keyId, signature: await key.sign(data) })),
  );
  return Buffer.from(envelopeText(payload, signatures));
}

/** Takes an envelope apart; refuses one that is not, to the byte, the canonical JSON that we write. */
export function openEnvelope(leaf: Buffer): OpenedEnvelope {
  const text = leaf.toString("utf8");
  const parsed = EvidenceEnvelope.safeParse(parseJson(text));
  if (!parsed.success) throw invalid(parsed.error.issues[0]?.message ?? "wrong shape");
  const payload = Buffer.from(parsed.data.payload, "base64");
  const signatures = parsed.data.signatures.map(({ keyid, sig }) => ({
    keyId: keyid,
    signature: Buffer.from(sig, "base64"),
  }));
  // also catches duplicate keys, unused base64 bits and invalid UTF-8, which all vanish on the way in
  if (envelopeText(payload, signatures) !== text)
    throw invalid("it is not canonical JSON, or a key occurs twice");
  return { payload, signatures };
}

/** Whether a signature of an envelope is the given key's. */
export function verifySignature(
  opened: OpenedEnvelope,
  key: EvidencePublicKey,
  { signature }: EnvelopeSignature,
): boolean {
  return verify(null, preAuthEncoding(PAYLOAD_TYPE, opened.payload), key.publicKey, signature);
}

function envelopeText(payload: Uint8Array, signatures: readonly EnvelopeSignature[]): string {
  const list = signatures.map(
    ({ keyId, signature }) => `{"keyid":"${keyId}","sig":"${signature.toString("base64")}"}`,
  );
  return `{"payload":"${Buffer.from(payload).toString("base64")}","payloadType":"${PAYLOAD_TYPE}","signatures":[${list.join(",")}]}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid("it is not JSON");
  }
}

function invalid(why: string): DoorwardError {
  return new DoorwardError({ code: "EVIDENCE_INVALID", message: `Cannot read DSSE envelope: ${why}` });
}
