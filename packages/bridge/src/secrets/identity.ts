import { existsSync, readFileSync, statSync } from "node:fs";
import { DoorwardError } from "@doorward/contracts";
import { generateX25519Identity } from "age-encryption";
import { writeDurably } from "../state/index.ts";

const FORM = /^AGE-SECRET-KEY-1[A-Z0-9]{58}$/;
const OTHERS = 0o077;

/** The age identity (X25519) that secrets are encrypted to; made when `path` does not exist. KEY_INVALID when it can't be trusted. */
export async function secretIdentity(path: string): Promise<string> {
  if (!existsSync(path)) writeDurably(path, `${await generateX25519Identity()}\n`);
  const { mode, uid } = statSync(path);
  const us = process.getuid?.() ?? uid;
  if (uid !== us) throw invalid(path, `it belongs to user ${String(uid)}`);
  if (process.platform !== "win32" && (mode & OTHERS) !== 0) throw invalid(path, "others may read it");
  const identity = readFileSync(path, "utf8").trim();
  if (!FORM.test(identity)) throw invalid(path, "it holds no age identity");
  return identity;
}

function invalid(path: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "KEY_INVALID",
    message: `Cannot use the key of the secrets in "${path}": ${why}`,
    hint: `ls -l ${path}`,
  });
}
