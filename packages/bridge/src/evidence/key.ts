import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  hkdfSync,
  sign,
  type KeyObject,
} from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, unlink } from "node:fs/promises";
import { promisify } from "node:util";
import { DoorwardError } from "@doorward/contracts";
import { replaceFile, temporaryName } from "./files.ts";
import { sha256 } from "./merkle.ts";

/** The public half of a signing key. */
export interface EvidencePublicKey {
  /** SHA-256 of the SubjectPublicKeyInfo (DER), hex: the keyid of DSSE signatures. */
  readonly keyId: string;
  /** The 32 bytes of the Ed25519 public key. */
  readonly raw: Buffer;
  readonly publicKey: KeyObject;
}

/** A signing key of the bridge. */
export interface EvidenceKey extends EvidencePublicKey {
  /** Signs off the main thread. */
  sign(data: Uint8Array): Promise<Buffer>;
  /** Signs on this thread: quicker for a few signatures, as waking another thread takes longer than one of them. */
  signNow(data: Uint8Array): Buffer;
  /** Key for digests that only this bridge can compare (`argvDigest`). */
  readonly digestKey: Buffer;
}

const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** The public key with the given 32 bytes. */
export function publicKeyOf(raw: Uint8Array): EvidencePublicKey {
  if (raw.length !== 32) throw keyInvalid("Cannot read Ed25519 public key", "it does not have 32 bytes");
  const spki = Buffer.concat([spkiPrefix, raw]);
  return {
    keyId: sha256(spki).toString("hex"),
    raw: Buffer.from(raw),
    publicKey: createPublicKey({ key: spki, format: "der", type: "spki" }),
  };
}

/** Reads the private key (PKCS#8 PEM) from a file that nobody else may read; refuses anything else with KEY_INVALID. */
export async function readEvidenceKey(path: string): Promise<EvidenceKey> {
  const what = `Cannot read evidence key ${JSON.stringify(path)}`;
  const pem = await readPrivate(path, what);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (cause) {
    throw keyInvalid(what, "it is not a PKCS#8 PEM private key", cause);
  }
  if (privateKey.asymmetricKeyType !== "ed25519") throw keyInvalid(what, "it is not an Ed25519 key");
  return signingKey(privateKey);
}

/** Makes a key and writes it, durable and with mode 0600, where no file may be yet. */
export async function createEvidenceKey(path: string): Promise<EvidenceKey> {
  const { privateKey } = await promisify(generateKeyPair)("ed25519");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" });
  await replaceFile(path, Buffer.from(pem), { sync: true, exclusive: true });
  return signingKey(privateKey);
}

/** The key at a path, made when there is none. */
export async function openEvidenceKey(path: string): Promise<EvidenceKey> {
  try {
    return await readEvidenceKey(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    return createEvidenceKey(path);
  }
}

function signingKey(privateKey: KeyObject): EvidenceKey {
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
  return {
    ...publicKeyOf(spki.subarray(spkiPrefix.length)),
    digestKey: Buffer.from(hkdfSync("sha256", pkcs8, "", "doorward evidence digest v1", 32)),
    sign: (data) => signWith(privateKey, data),
    signNow: (data) => sign(null, data, privateKey),
  };
}

function signWith(privateKey: KeyObject, data: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(null, data, privateKey, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

async function readPrivate(path: string, what: string): Promise<Buffer> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw keyInvalid(
      what,
      isMissing(cause) ? "there is no such file" : "it is a symlink or can't be opened",
      cause,
    );
  }
  try {
    const { uid, mode, size, nlink } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw keyInvalid(what, "it is not a regular file");
    if (uid !== process.getuid?.()) throw keyInvalid(what, `it belongs to uid ${String(uid)}`);
    if ((mode & 0o077) !== 0)
      throw keyInvalid(
        what,
        `its mode is ${(mode & 0o777).toString(8)}, not 600`,
        undefined,
        `chmod 600 ${path}`,
      );
    if (nlink !== 1) await endCreation(path, file, what);
    if (size > 8192) throw keyInvalid(what, "it is too long");
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** A key that was being made when its maker was killed still has the name that it was written under; any other is refused. */
async function endCreation(path: string, file: FileHandle, what: string): Promise<void> {
  const written = temporaryName(path);
  const [one, other] = [await file.stat(), await lstat(written).catch(() => null)];
  if (other?.ino === one.ino && other.dev === one.dev) await unlink(written);
  if ((await file.stat()).nlink !== 1) throw keyInvalid(what, "it has another name (hard link)");
}

/** Whether an error, or its cause, says that a file does not exist. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && error.code === "ENOENT") || isMissing(error.cause);
}

/** Removes a key file that was never used. */
export async function dropEvidenceKey(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

function keyInvalid(what: string, why: string, cause?: unknown, hint?: string): DoorwardError {
  return new DoorwardError({ code: "KEY_INVALID", message: `${what}: ${why}`, cause, hint });
}
