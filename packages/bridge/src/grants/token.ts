import { createHash, randomInt, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";
import { DoorwardError } from "@doorward/contracts";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 43 characters of 62 hold 256 bits. */
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const FORM = /^(dwg_([a-z0-9]{10,32})_[A-Za-z0-9]{43})_([A-Za-z0-9]{6})$/;

/** A token that has the right form and checksum; whether it is anybody's is still open. */
export interface ParsedToken {
  readonly grantId: string;
  readonly hash: string;
}

/** A new id for a grant. */
export function newGrantId(): string {
  const lower = ALPHABET.replace(/[A-Z]/g, "");
  return `g_${random(16, lower)}`;
}

/** A new token for a grant, `dwg_<id>_<secret>_<checksum>`, with the hash to keep in its place. */
export function newToken(grantId: string): { readonly token: string; readonly hash: string } {
  const body = `dwg_${grantId.slice(2)}_${random(SECRET_LENGTH, ALPHABET)}`;
  const token = `${body}_${checksum(body)}`;
  return { token, hash: hashOf(token) };
}

/** Reads a token, or throws TOKEN_INVALID; no error ever repeats the token. */
export function parseToken(text: string): ParsedToken {
  const [token, body, id, sum] = FORM.exec(text) ?? [];
  if (token === undefined || body === undefined || id === undefined) {
    throw invalidToken("it does not have the form of a Doorward token");
  }
  if (sum !== checksum(body)) throw invalidToken("its checksum is wrong, so it is mistyped or cut short");
  return { grantId: `g_${id}`, hash: hashOf(token) };
}

/** Compares two hashes in a time that does not tell where they differ. */
export function sameHash(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The one error for tokens that are not good. */
export function invalidToken(why: string): DoorwardError {
  return new DoorwardError({
    code: "TOKEN_INVALID",
    message: `Cannot accept the token: ${why}`,
    hint: "doorward grant ls",
  });
}

/**
 * A plain SHA-256 is right here: the secret has 256 random bits, so there is nothing to guess that a slow password hash
 * would slow down, and checking stays cheap enough for every request.
 */
function hashOf(token: string): string {
  return `sha256:${createHash("sha256").update(token).digest("hex")}`;
}

/** Finds typing errors, and lets secret scanners tell tokens from look-alikes; it protects nothing. */
function checksum(body: string): string {
  let rest = crc32(body);
  let text = "";
  for (let place = 0; place < CHECKSUM_LENGTH; place += 1) {
    text = ALPHABET.charAt(rest % ALPHABET.length) + text;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return text;
}

function random(length: number, alphabet: string): string {
  return Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join("");
}
