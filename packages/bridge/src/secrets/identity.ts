import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { DoorwardError } from "@doorward/contracts";
import { writeDurably } from "../state/index.ts";

const FORM = /^AGE-SECRET-KEY-1[A-Z0-9]{58}$/;
const OTHERS = 0o077;

/** The age identity (X25519) that secrets are encrypted to; made when `path` does not exist. KEY_INVALID when it can't be trusted. */
export async function secretIdentity(path: string): Promise<string> {
  if (!existsSync(path)) writeDurably(path, `${await newIdentity()}\n`);
  const { mode, uid } = statSync(path);
  const us = process.getuid?.() ?? uid;
  if (uid !== us) throw invalid(path, `it belongs to user ${String(uid)}`);
  if (process.platform !== "win32" && (mode & OTHERS) !== 0) throw invalid(path, "others may read it");
  const identity = readFileSync(path, "utf8").trim();
  if (!FORM.test(identity)) throw invalid(path, "it holds no age identity");
  return identity;
}

/** Who can decrypt with the identity of a path; KEY_INVALID when it is none. */
export async function recipientOf(identity: string, path: string): Promise<string> {
  try {
    return await (await age()).identityToRecipient(identity);
  } catch {
    throw invalid(path, "it holds no age identity");
  }
}

/** age, loaded when a secret is first used: most bridges have none, and it costs 13 MiB. */
export function age(): Promise<typeof import("age-encryption")> {
  return import("age-encryption");
}

/** As age writes them: 32 random bytes in Bech32. Every installation has one, so age itself is not loaded for it. */
async function newIdentity(): Promise<string> {
  const { bech32 } = await import("@scure/base");
  return bech32.encodeFromBytes("AGE-SECRET-KEY-", randomBytes(32)).toUpperCase();
}

function invalid(path: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "KEY_INVALID",
    message: `Cannot use the key of the secrets in "${path}": ${why}`,
    hint: `ls -l ${path}`,
  });
}
