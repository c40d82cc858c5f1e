import { createHash, randomBytes, sign, type KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { bitString, commonName, element, octetString, oid, sequence, utcTime, type OID } from "./der.ts";
import { addressBytes } from "./address-bytes.ts";

/** What a certificate of a machine's authority, or one signed by it, is made from. */
export interface CertificateInit {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly issuerPublicKey: KeyObject;
  readonly issuerKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Host that a server certificate is for; null makes it an authority that signs servers only. */
  readonly host: string | null;
}

const TRUE = Buffer.from([0x01, 0x01, 0xff]);
const DIGITAL_SIGNATURE = bitString(Buffer.from([0x80]), 7);
const SIGN_CERTIFICATES = bitString(Buffer.from([0x04]), 2);
const PATH_LENGTH_0 = Buffer.from([0x02, 0x01, 0x00]);

/**
 * Writes a PEM certificate: ECDSA P-256 with SHA-256, X.509 v3. Written here because it is one fixed shape that is only
 * ever written, never read, and because a library for it would cost the bridge 20 MB and a dozen packages.
 */
export function writeCertificate(init: CertificateInit): string {
  const body = toBeSigned(init);
  const signature = sign("sha256", body, init.issuerKey);
  return pem(sequence(body, sequence(oid("ecdsaWithSha256")), bitString(signature)));
}

function toBeSigned(init: CertificateInit): Buffer {
  return sequence(
    element(0xa0, Buffer.from([0x02, 0x01, 0x02])),
    element(0x02, serialNumber()),
    sequence(oid("ecdsaWithSha256")),
    commonName(init.issuer),
    sequence(utcTime(init.notBefore), utcTime(init.notAfter)),
    commonName(init.subject),
    init.publicKey.export({ type: "spki", format: "der" }),
    element(0xa3, sequence(...extensions(init))),
  );
}

function extensions(init: CertificateInit): Buffer[] {
  const keys = [
    extension("subjectKeyIdentifier", octetString(keyIdentifier(init.publicKey))),
    extension("authorityKeyIdentifier", sequence(element(0x80, keyIdentifier(init.issuerPublicKey)))),
  ];
  if (init.host === null) {
    return [
      extension("basicConstraints", sequence(TRUE, PATH_LENGTH_0), true),
      extension("keyUsage", SIGN_CERTIFICATES, true),
      ...keys,
    ];
  }
  return [
    extension("basicConstraints", sequence(), true),
    extension("keyUsage", DIGITAL_SIGNATURE, true),
    extension("extendedKeyUsage", sequence(oid("serverAuth"))),
    extension("subjectAltName", sequence(alternativeName(init.host))),
    ...keys,
  ];
}

function extension(name: keyof typeof OID, value: Buffer, critical = false): Buffer {
  return sequence(oid(name), ...(critical ? [TRUE] : []), octetString(value));
}

function alternativeName(host: string): Buffer {
  return isIP(host) === 0 ? element(0x82, Buffer.from(host, "ascii")) : element(0x87, addressBytes(host));
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 20);
}

/** 128 random bits, positive and without a leading zero byte. */
function serialNumber(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
