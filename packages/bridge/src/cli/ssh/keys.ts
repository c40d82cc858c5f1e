import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFileSync, linkSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { DoorwardError } from "@doorward/contracts";
import { SSH_SUFFIX, type SshPlace } from "./place.ts";

const KEY_TYPE = "ssh-ed25519";
const ARMOUR = /-----(?:BEGIN|END) OPENSSH PRIVATE KEY-----|\s/g;
const MAGIC = "openssh-key-v1\0";

/** The public key that machines let in, of a key pair that is made when there is none. */
export async function clientKey(place: SshPlace): Promise<string> {
  return `${publicKey(await keyAt(place.identity), place.identity)} doorward`;
}

/**
 * The private host key of a machine, made at its first use; its public half is then in the known hosts. The machine gets
 * it with every connection, so it says nothing of who answers: that the bridge does. It lets `ssh` check strictly.
 */
export async function hostKey(place: SshPlace, machine: string): Promise<string> {
  const path = join(place.hostKeys, machine);
  const key = await keyAt(path);
  const line = `${machine}${SSH_SUFFIX} ${publicKey(key, path)}\n`;
  if (!readOrEmpty(place.knownHosts).includes(line)) appendFileSync(place.knownHosts, line, { mode: 0o600 });
  return key;
}

/** Reads a private key, making it first where there is none; of several that make it at once, one wins. */
async function keyAt(path: string): Promise<string> {
  const found = readOrEmpty(path);
  if (found !== "") return found;
  const draft = `${path}.${randomUUID()}.new`;
  try {
    await generate(draft);
    linkSync(draft, path);
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
  } finally {
    for (const name of [draft, `${draft}.pub`]) rmSync(name, { force: true });
  }
  return readFileSync(path, "utf8");
}

async function generate(path: string): Promise<void> {
  try {
    await promisify(execFile)("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "doorward", "-f", path]);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT")
      throw opensshMissing("ssh-keygen");
    throw cause;
  }
}

/** The error for a host without OpenSSH's client. */
export function opensshMissing(program: string): DoorwardError {
  return new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot connect with SSH: this host has no "${program}"`,
    hint: "apt-get install openssh-client",
  });
}

/** The public half, which an OpenSSH private key has in the clear after its four fields of encryption. */
function publicKey(key: string, path: string): string {
  const bytes = Buffer.from(key.replaceAll(ARMOUR, ""), "base64");
  try {
    if (bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) throw new RangeError("not an OpenSSH key");
    let at = MAGIC.length;
    for (let field = 0; field < 3; field += 1) at += 4 + bytes.readUInt32BE(at);
    at += 4;
    const blob = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at));
    return `${KEY_TYPE} ${blob.toString("base64")}`;
  } catch (cause) {
    throw new DoorwardError({
      code: "KEY_INVALID",
      message: `Cannot use key "${path}": it is damaged`,
      hint: `rm ${path}`,
      cause,
    });
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return "";
    throw cause;
  }
}
