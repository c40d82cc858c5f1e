/** Object identifiers that our certificates use, as DER content bytes. */
export const OID = {
  commonName: "550403",
  ecdsaWithSha256: "2a8648ce3d040302",
  subjectKeyIdentifier: "551d0e",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  authorityKeyIdentifier: "551d23",
  extendedKeyUsage: "551d25",
  serverAuth: "2b06010505070301",
} as const;

function length(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size]);
  const hex = size.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

/** One DER element: tag, length and the parts as content. */
export function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), length(content.length), content]);
}

/** A DER SEQUENCE. */
export function sequence(...parts: readonly Buffer[]): Buffer {
  return element(0x30, ...parts);
}

/** A DER OBJECT IDENTIFIER. */
export function oid(name: keyof typeof OID): Buffer {
  return element(0x06, Buffer.from(OID[name], "hex"));
}

/** A DER UTCTime, which X.509 wants for every date before 2050. */
export function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]/g, "").slice(2, 14);
  return element(0x17, Buffer.from(`${digits}Z`, "ascii"));
}

/** A DER BIT STRING without unused bits, or with the given number of them. */
export function bitString(content: Buffer, unused = 0): Buffer {
  return element(0x03, Buffer.from([unused]), content);
}

/** A DER OCTET STRING. */
export function octetString(content: Buffer): Buffer {
  return element(0x04, content);
}

/** A distinguished name that holds a common name alone. */
export function commonName(name: string): Buffer {
  return sequence(element(0x31, sequence(oid("commonName"), element(0x0c, Buffer.from(name, "utf8")))));
}
