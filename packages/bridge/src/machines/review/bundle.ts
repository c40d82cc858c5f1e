import { open } from "node:fs/promises";
import { Transform, type TransformCallback } from "node:stream";
import { DoorwardError } from "@doorward/contracts";

const HEADER_BYTES = 65_536;

/** The one ref that a bundle of ours carries. */
export const REVIEW_REF = "refs/doorward/review";

/** Head of a git bundle (gitformat-bundle(5)). */
export interface BundleHeader {
  readonly head: string;
  /** Commits that the receiver must have. */
  readonly needs: readonly string[];
  /** Where the pack begins. */
  readonly packAt: number;
}

/** Reads the head of a bundle that a machine wrote; anything but one review ref on known ground is refused. */
export async function readBundleHeader(path: string): Promise<BundleHeader> {
  const handle = await open(path, "r");
  try {
    const buffer = Buffer.alloc(HEADER_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, HEADER_BYTES, 0);
    return parseBundleHeader(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** Parses the head of a bundle. */
function parseBundleHeader(bytes: Buffer): BundleHeader {
  const end = bytes.indexOf("\n\n");
  if (end < 0) throw malformed("it has no head");
  const [version, ...lines] = bytes.toString("latin1", 0, end).split("\n");
  if (version !== "# v2 git bundle" && version !== "# v3 git bundle")
    throw malformed("it is of an unknown version");
  const needs: string[] = [];
  const refs: { id: string; name: string }[] = [];
  for (const line of lines) {
    const [, minus, id, name] = /^(-?)([0-9a-f]{40}|[0-9a-f]{64})(?: (.*))?$/.exec(line) ?? [];
    if (id === undefined) {
      if (version === "# v3 git bundle" && /^@object-format=sha(?:1|256)$/.test(line)) continue;
      throw malformed("its head has a line that is not understood");
    }
    if (minus === "-") needs.push(id);
    else refs.push({ id, name: name ?? "" });
  }
  const [ref] = refs;
  if (ref === undefined || refs.length > 1 || ref.name !== REVIEW_REF)
    throw malformed("it carries other refs than the review");
  return { head: ref.id, needs, packAt: end + 2 };
}

/** Passes bytes on until there are too many. */
export class ByteCap extends Transform {
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#size += chunk.length;
    if (this.#size <= this.#limit) done(null, chunk);
    else done(malformed(`it is larger than ${this.#limit} bytes`));
  }
}

function malformed(why: string): DoorwardError {
  return new DoorwardError({
    code: "REVIEW_FAILED",
    message: `Cannot take over the bundle of the machine: ${why}`,
  });
}
