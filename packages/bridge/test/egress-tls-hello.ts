/** What a made-up TLS hello looks like. */
export interface HelloShape {
  readonly name: string | null;
  /** Bytes of the handshake in each record. */
  readonly fragment?: number;
  /** The server_name extension stands in it twice. */
  readonly twice?: boolean;
  /** Names in the extension's list; `name` alone when absent. */
  readonly names?: readonly string[];
  readonly nameType?: number;
  /** Bytes behind the extensions. */
  readonly tail?: Buffer;
  /** Bytes behind the hello, in the same record. */
  readonly after?: Buffer;
  /** Further extensions, e.g. an encrypted client hello. */
  readonly extra?: readonly (readonly [number, Buffer])[];
}

/** Writes the bytes of a TLS ClientHello, well-formed or not. */
export function clientHello(shape: HelloShape): Buffer {
  const list = (shape.names ?? (shape.name === null ? [] : [shape.name])).map((name) =>
    Buffer.concat([Buffer.from([shape.nameType ?? 0]), sized(2, Buffer.from(name, "latin1"))]),
  );
  const sni: readonly [number, Buffer] = [0, sized(2, Buffer.concat(list))];
  const all = [
    ...(shape.name === null ? [] : shape.twice === true ? [sni, sni] : [sni]),
    [43, Buffer.from("020304", "hex")] as const,
    ...(shape.extra ?? []),
  ];
  const extensions = all.map(([type, body]) => Buffer.concat([number(2, type), sized(2, body)]));
  const body = Buffer.concat([
    Buffer.from("0303", "hex"),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(32, 9)),
    sized(2, Buffer.from("13011302", "hex")),
    sized(1, Buffer.from([0])),
    sized(2, Buffer.concat(extensions)),
    shape.tail ?? Buffer.alloc(0),
  ]);
  const message = Buffer.concat([Buffer.from([1]), sized(3, body), shape.after ?? Buffer.alloc(0)]);
  return records(message, shape.fragment ?? 16_000);
}

function records(message: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    parts.push(Buffer.from("160301", "hex"), sized(2, message.subarray(at, at + size)));
  }
  return Buffer.concat(parts);
}

function sized(bytes: number, body: Buffer): Buffer {
  return Buffer.concat([number(bytes, body.length), body]);
}

function number(bytes: number, value: number): Buffer {
  const out = Buffer.alloc(bytes);
  out.writeUIntBE(value, 0, bytes);
  return out;
}
