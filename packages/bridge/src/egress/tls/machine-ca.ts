import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  X509Certificate,
  type KeyObject,
} from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import { DoorwardError } from "@doorward/contracts";
import { writeDurably } from "../../state/durable-file.ts";
import { writeCertificate } from "./certificate.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LIFE = 30 * DAY;
const RENEW_BEFORE = 7 * DAY;
const LEAF_LIFE = 2 * DAY;
const LEAF_RENEW_BEFORE = HOUR;
const MAX_LEAVES = 500;

/** The certificate authority of one machine: trusted inside it and nowhere else; its key never leaves the host. */
export interface MachineCa {
  /** File with the authority's certificate, for the machine to trust. */
  readonly certificatePath: string;
  /** The authority's certificate. */
  readonly certificate: string;
  /** TLS settings of a server that is exactly this host for the machine. */
  contextFor(host: string): SecureContext;
}

/**
 * Reads the authority of a machine from its folder on the host, or makes one where there is none, where it ends within a
 * week or where it is damaged. Call it before the machine starts; a file that others can read is refused (KEY_INVALID).
 */
export function ensureMachineCa(folder: string): MachineCa {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const place = { key: join(folder, "ca.key"), certificate: join(folder, "ca.pem") };
  const authority = read(place) ?? make(place);
  return { certificatePath: place.certificate, certificate: authority.pem, contextFor: leaves(authority) };
}

interface Place {
  readonly key: string;
  readonly certificate: string;
}

interface Authority {
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
  readonly pem: string;
  readonly subject: string;
  readonly notAfter: Date;
}

function read(place: Place): Authority | undefined {
  if (!existsSync(place.key) || !existsSync(place.certificate)) return undefined;
  refuseOpenKey(place.key);
  try {
    const key = createPrivateKey(readFileSync(place.key));
    const pem = readFileSync(place.certificate, "utf8");
    const certificate = new X509Certificate(pem);
    const notAfter = new Date(certificate.validTo);
    if (!certificate.checkPrivateKey(key) || notAfter.getTime() - Date.now() < RENEW_BEFORE) return undefined;
    const subject = certificate.subject.replace(/^CN=/, "");
    return { key, publicKey: createPublicKey(key), pem, subject, notAfter };
  } catch {
    return undefined;
  }
}

function refuseOpenKey(path: string): void {
  const found = lstatSync(path);
  if (found.isFile() && (found.mode & 0o077) === 0 && found.uid === process.getuid?.()) return;
  throw new DoorwardError({
    code: "KEY_INVALID",
    message: `Cannot read the machine's authority key ${JSON.stringify(path)}: it is not a file that its owner alone can read`,
    hint: `rm ${JSON.stringify(path)}`,
  });
}

function make(place: Place): Authority {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const notAfter = new Date(Date.now() + LIFE);
  // A renewed authority has another name, so that no client mixes up the two keys.
  const subject = `Doorward machine authority ${Date.now().toString(36)}`;
  const pem = writeCertificate({
    subject,
    issuer: subject,
    publicKey,
    issuerPublicKey: publicKey,
    issuerKey: privateKey,
    notBefore: new Date(Date.now() - HOUR),
    notAfter,
    host: null,
  });
  writeDurably(place.key, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  writeDurably(place.certificate, pem);
  return { key: privateKey, publicKey, pem, subject, notAfter };
}

/** Leaf certificates by host: made when first asked for, kept in memory, short-lived, one key for all of a machine. */
function leaves(authority: Authority): (host: string) => SecureContext {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = pair.privateKey.export({ type: "pkcs8", format: "pem" });
  const made = new Map<string, { readonly context: SecureContext; readonly until: number }>();
  return (host) => {
    const known = made.get(host);
    if (known !== undefined && known.until - Date.now() > LEAF_RENEW_BEFORE) return known.context;
    const until = Math.min(Date.now() + LEAF_LIFE, authority.notAfter.getTime());
    const cert = writeCertificate({
      subject: host.slice(0, 64),
      issuer: authority.subject,
      publicKey: pair.publicKey,
      issuerPublicKey: authority.publicKey,
      issuerKey: authority.key,
      notBefore: new Date(Date.now() - HOUR),
      notAfter: new Date(until),
      host,
    });
    const context = createSecureContext({ key, cert, minVersion: "TLSv1.2" });
    made.delete(host);
    made.set(host, { context, until });
    for (const oldest of made.keys()) {
      if (made.size <= MAX_LEAVES) break;
      made.delete(oldest);
    }
    return context;
  };
}
