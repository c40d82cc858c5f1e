import { verify } from "node:crypto";
import { DoorwardError } from "@doorward/contracts";
import { type EvidenceKey, type EvidencePublicKey, publicKeyOf } from "./key.ts";
import { sha256 } from "./merkle.ts";

const ed25519 = 0x01;

/** A key that verifies notes: its name, its 4-byte hash and the key. */
export interface NoteVerifier extends EvidencePublicKey {
  readonly name: string;
  readonly hash: Buffer;
}

/** A signed note (C2SP signed-note), taken apart; nothing is verified yet. */
export interface SignedNote {
  /** The signed text, with its last newline. */
  readonly text: string;
  readonly signatures: readonly {
    readonly name: string;
    readonly hash: Buffer;
    readonly signature: Buffer;
  }[];
  /** The signature lines as they stand, without newlines. */
  readonly lines: readonly string[];
}

/** The verifier of a key under a name. */
export function noteVerifier(name: string, key: EvidencePublicKey): NoteVerifier {
  if (!/^[^\s+\p{C}]{1,200}$/u.test(name))
    throw noteInvalid(`name ${JSON.stringify(name)} is empty or holds spaces or plus`);
  const { keyId, raw, publicKey } = key;
  const hash = sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ed25519), raw])).subarray(0, 4);
  return { name, hash, keyId, raw, publicKey };
}

/** The verifier key line (`key.vkey`): name, key hash, and algorithm byte with key. */
export function vkeyLine({ name, hash, raw }: NoteVerifier): string {
  return `${name}+${hash.toString("hex")}+${Buffer.concat([Buffer.of(ed25519), raw]).toString("base64")}`;
}

/** Parses a verifier key line; refuses other algorithms and a hash that does not belong to the key. */
export function parseVkey(line: string): NoteVerifier {
  const parts = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n?$/.exec(line);
  const [, name = "", hash = "", key = ""] = parts ?? [];
  const bytes = Buffer.from(key, "base64");
  if (parts === null || bytes.toString("base64") !== key || bytes.length !== 33 || bytes[0] !== ed25519) {
    throw keyInvalid("it is not a signed-note verifier key for Ed25519");
  }
  const verifier = noteVerifier(name, publicKeyOf(bytes.subarray(1)));
  if (verifier.hash.toString("hex") !== hash) throw keyInvalid("its hash does not belong to its key");
  return verifier;
}

/** Signs a text that ends with a newline. */
export async function signNote(text: string, name: string, key: EvidenceKey): Promise<string> {
  const { hash } = noteVerifier(name, key);
  const signature = await key.sign(Buffer.from(text));
  return `${text}\n\u2014 ${name} ${Buffer.concat([hash, signature]).toString("base64")}\n`;
}

/** Takes a signed note apart. */
export function openNote(note: string): SignedNote {
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || !note.endsWith("\n") || note.length > 1_000_000)
    throw noteInvalid("it has no signature block");
  const text = note.slice(0, split + 1);
  // the format forbids all control characters but newline
  if (/[\u0000-\u0009\u000b-\u001f\ufffd]/.test(note))
    throw noteInvalid("it holds control characters or is not UTF-8");
  const lines = note.slice(split + 2, -1).split("\n");
  return { text, lines, signatures: lines.map(signatureLine) };
}

/** Whether a note carries a valid signature of a key; throws when it carries a wrong one under its name and hash. */
export function isSignedBy(note: SignedNote, verifier: NoteVerifier): boolean {
  const own = note.signatures.filter(
    ({ name, hash }) => name === verifier.name && hash.equals(verifier.hash),
  );
  const text = Buffer.from(note.text);
  if (own.some(({ signature }) => !verify(null, text, verifier.publicKey, signature))) {
    throw noteInvalid(`signature of "${verifier.name}" is wrong`);
  }
  return own.length > 0;
}

function signatureLine(line: string): SignedNote["signatures"][number] {
  const [, name, base64 = ""] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? [];
  const bytes = Buffer.from(base64, "base64");
  if (name === undefined || bytes.length < 5 || bytes.toString("base64") !== base64)
    throw noteInvalid("a signature line is malformed");
  return { name, hash: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

function noteInvalid(why: string): DoorwardError {
  return new DoorwardError({ code: "EVIDENCE_INVALID", message: `Cannot read signed note: ${why}` });
}

function keyInvalid(why: string): DoorwardError {
  return new DoorwardError({ code: "KEY_INVALID", message: `Cannot read verifier key: ${why}` });
}
