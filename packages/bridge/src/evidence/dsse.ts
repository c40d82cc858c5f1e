import { verify } from "node:crypto";
import { DoorwardError } from "@doorward/contracts";
import { duplicateKey } from "./canonical.ts";
import type { EvidenceKey, EvidencePublicKey } from "./key.ts";

/** Media type of an in-toto Statement. */
const PAYLOAD_TYPE = "application/vnd.in-toto+json";

/** One signature of an envelope. */
export interface EnvelopeSignature {
  readonly keyId: string;
  readonly signature: Buffer;
}

/** An envelope, taken apart. */
export interface OpenedEnvelope {
  readonly payload: Buffer;
  readonly signatures: readonly EnvelopeSignature[];
  /** The pre-authentication encoding of the payload: what was signed. */
  readonly signed: Buffer;
}

/** What DSSE signs: the pre-authentication encoding of payload type and payload. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  const head = `DSSEv1 ${String(type.length)} ${payloadType} ${String(payload.length)} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** Signs a payload with each key, on this thread or beside it, and returns the envelope as canonical JSON. */
export async function signEnvelope(
  payload: Uint8Array,
  keys: readonly EvidenceKey[],
  where: "now" | "beside" = "beside",
): Promise<Buffer> {
  const data = preAuthEncoding(PAYLOAD_TYPE, payload);
  const signatures = await Promise.all(
    keys.map(async (key) => ({
      keyId: key.keyId,
      signature: where === "now" ? key.signNow(data) : await key.sign(data),
    })),
  );
  return Buffer.from(envelopeText(payload, signatures));
}

const oneSignature = '\\{"keyid":"([a-f0-9]{64})","sig":"([A-Za-z0-9+/]{85}[AQgw]==)"\\}';
const payloadType = PAYLOAD_TYPE.replaceAll(/[.+]/g, "\\$&");
const envelopePattern = new RegExp(
  `^\\{"payload":"([A-Za-z0-9+/]+={0,2})","payloadType":"${payloadType}","signatures":\\[${oneSignature}(?:,${oneSignature})?\\]\\}$`,
);

/** The fixed parts of an envelope with one signature, in their order. */
const head = '{"payload":"';
const middle = `","payloadType":"${PAYLOAD_TYPE}","signatures":[{"keyid":"`;
const beforeSignature = '","sig":"';
const end = '"}]}';
const keyLength = 64;
const signatureLength = 88;
const tailLength = middle.length + keyLength + beforeSignature.length + signatureLength + end.length;
const keyPattern = /^[a-f0-9]{64}$/;

/**
 * Takes an envelope apart; refuses one that is not, to the byte, the canonical JSON that we write. Canonical JSON with
 * fixed keys is a regular language, so form, order and duplicate keys are seen without parsing (which counts when a
 * million are verified). What it returns lies in the `room` that is given, if it fits, until that is used again.
 */
export function openEnvelope(leaf: Buffer, room?: Buffer): OpenedEnvelope {
  const text = leaf.toString("latin1");
  return openSingle(text, room) ?? openByPattern(text);
}

/** An envelope with one signature, whose parts have fixed places counted from both ends; null when it is not one. */
function openSingle(text: string, room?: Buffer): OpenedEnvelope | null {
  const payloadEnd = text.length - tailLength;
  const keyAt = payloadEnd + middle.length;
  const signatureAt = keyAt + keyLength + beforeSignature.length;
  const keyId = text.slice(keyAt, keyAt + keyLength);
  const fits =
    payloadEnd > head.length &&
    text.startsWith(head) &&
    text.startsWith(middle, payloadEnd) &&
    text.startsWith(beforeSignature, keyAt + keyLength) &&
    text.endsWith(end) &&
    keyPattern.test(keyId);
  if (!fits) return null;
  const payload = text.slice(head.length, payloadEnd);
  const signature = text.slice(signatureAt, signatureAt + signatureLength);
  const signed = signedPart(payload, room);
  const bytes = Buffer.from(signature, "base64");
  // what is not the base64 of its own bytes has another alphabet, padding, or bits behind the last byte
  if (bytes.toString("base64") !== signature || signed.payload.toString("base64") !== payload) return null;
  return { ...signed, signatures: [{ keyId, signature: bytes }] };
}

function openByPattern(text: string): OpenedEnvelope {
  const match = envelopePattern.exec(text);
  if (match === null) throw invalid(whyNot(text));
  const [, payload = "", firstKey = "", firstSignature = "", secondKey, secondSignature] = match;
  const signatures = [{ keyId: firstKey, signature: bytesOf(firstSignature) }];
  if (secondKey !== undefined)
    signatures.push({ keyId: secondKey, signature: bytesOf(secondSignature ?? "") });
  bytesOf(payload);
  return { ...signedPart(payload), signatures };
}

/** Decodes a payload straight into what was signed, so that it is copied once. */
function signedPart(base64: string, room?: Buffer): { readonly payload: Buffer; readonly signed: Buffer } {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  const length = Math.floor(base64.length / 4) * 3 - padding;
  const before = `DSSEv1 ${String(PAYLOAD_TYPE.length)} ${PAYLOAD_TYPE} ${String(length)} `;
  // whoever calls this checks that the text is base64 throughout, so every byte is written
  const whole = before.length + length;
  const signed =
    room !== undefined && whole <= room.length ? room.subarray(0, whole) : Buffer.allocUnsafe(whole);
  signed.write(before, "latin1");
  signed.write(base64, before.length, "base64");
  return { payload: signed.subarray(before.length), signed };
}

/** Decodes base64 of the right alphabet; refuses a wrong length and bits hidden behind the last byte. */
function bytesOf(text: string): Buffer {
  const last = text.slice(-4);
  if (text.length % 4 !== 0 || Buffer.from(last, "base64").toString("base64") !== last)
    throw invalid("its base64 is not canonical");
  return Buffer.from(text, "base64");
}

function whyNot(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  const key = duplicateKey(text);
  return key === null
    ? "it is not the canonical JSON of an envelope"
    : `key ${JSON.stringify(key)} occurs twice`;
}

/** Whether a signature of an envelope is the given key's. */
export function verifySignature(
  opened: OpenedEnvelope,
  key: EvidencePublicKey,
  { signature }: EnvelopeSignature,
): boolean {
  return verify(null, opened.signed, key.publicKey, signature);
}

function envelopeText(payload: Uint8Array, signatures: readonly EnvelopeSignature[]): string {
  const list = signatures.map(
    ({ keyId, signature }) => `{"keyid":"${keyId}","sig":"${signature.toString("base64")}"}`,
  );
  return `{"payload":"${Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("base64")}","payloadType":"${PAYLOAD_TYPE}","signatures":[${list.join(",")}]}`;
}

function invalid(why: string): DoorwardError {
  return new DoorwardError({ code: "EVIDENCE_INVALID", message: `Cannot read DSSE envelope: ${why}` });
}
