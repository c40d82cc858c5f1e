import { verify } from "node:crypto";
import { DoorwardError } from "@doorward/contracts";
import { publicKeyOf, type EvidenceKey, type EvidencePublicKey } from "./key.ts";
import { sha256 } from "./merkle.ts";
import type { SignedNote } from "./signed-note.ts";

const algorithm = 0x04;
const timeBytes = 8;
const signatureBytes = 64;

/** A witness's key for Ed25519 cosignatures (C2SP tlog-cosignature): its name, its 4-byte hash and the key. */
export interface WitnessVerifier extends EvidencePublicKey {
  readonly name: string;
  readonly hash: Buffer;
}

/** The cosignature verifier of a key under a name. */
export function witnessVerifier(name: string, { keyId, raw, publicKey }: EvidencePublicKey): WitnessVerifier {
  if (!/^[^\s+\p{C}]{1,200}$/u.test(name))
    throw keyInvalid(`name ${JSON.stringify(name)} is empty or holds spaces or plus`);
  const hash = sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(algorithm), raw])).subarray(0, 4);
  return { name, hash, keyId, raw, publicKey };
}

/** The verifier key line of a witness: a signed-note vkey with signature type 4. */
export function witnessVkey({ name, hash, raw }: WitnessVerifier): string {
  return `${name}+${hash.toString("hex")}+${Buffer.concat([Buffer.of(algorithm), raw]).toString("base64")}`;
}

/** Parses the verifier key line of a witness; refuses other algorithms and a hash that does not belong to the key. */
export function parseWitnessVkey(line: string): WitnessVerifier {
  const [, name = "", hash = "", key = ""] =
    /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n?$/.exec(line) ?? [];
  const bytes = Buffer.from(key, "base64");
  if (bytes.length !== 33 || bytes.toString("base64") !== key || bytes[0] !== algorithm)
    throw keyInvalid("it is not the verifier key of an Ed25519 cosignature (type 4)");
  const verifier = witnessVerifier(name, publicKeyOf(bytes.subarray(1)));
  if (verifier.hash.toString("hex") !== hash) throw keyInvalid("its hash does not belong to its key");
  return verifier;
}

/** Cosigns the text of a checkpoint as of a time (seconds since the epoch); returns the note's signature line. */
export async function cosign(
  text: string,
  name: string,
  key: EvidenceKey,
  seconds = Math.floor(Date.now() / 1000),
): Promise<string> {
  const { hash } = witnessVerifier(name, key);
  const time = Buffer.alloc(timeBytes);
  time.writeBigUInt64BE(BigInt(seconds));
  const signature = await key.sign(cosignedMessage(text, String(seconds)));
  return `\u2014 ${name} ${Buffer.concat([hash, time, signature]).toString("base64")}\n`;
}

/**
 * When a witness cosigned a checkpoint, in seconds since the epoch; null when it did not. Throws when the note has a
 * wrong cosignature under its name and hash.
 */
export function cosignedAt(note: SignedNote, verifier: WitnessVerifier): number | null {
  let newest: number | null = null;
  for (const { name, hash, signature } of note.signatures) {
    if (name !== verifier.name || !hash.equals(verifier.hash)) continue;
    const seconds = timeOf(signature);
    const message = cosignedMessage(note.text, String(seconds));
    if (seconds === null || !verify(null, message, verifier.publicKey, signature.subarray(timeBytes)))
      throw new DoorwardError({
        code: "EVIDENCE_INVALID",
        message: `Cannot read checkpoint: the cosignature of "${name}" is wrong`,
      });
    newest = Math.max(newest ?? 0, seconds);
  }
  return newest;
}

function timeOf(signature: Buffer): number | null {
  if (signature.length !== timeBytes + signatureBytes) return null;
  const seconds = signature.readBigUInt64BE(0);
  return seconds > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(seconds);
}

function cosignedMessage(text: string, seconds: string): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);
}

function keyInvalid(why: string): DoorwardError {
  return new DoorwardError({ code: "KEY_INVALID", message: `Cannot read witness key: ${why}` });
}
