import type { Readable } from "node:stream";

/** What was kept of a stream; what comes after its limit is read and dropped, so that nobody waits for us. */
export interface BoundedOutput {
  readonly truncated: boolean;
  bytes(): Buffer;
}

/** Keeps the first bytes of a stream. */
export function keepOutput(stream: Readable, limit: number): BoundedOutput {
  const chunks: Buffer[] = [];
  let kept = 0;
  let truncated = false;
  stream.on("data", (chunk: Buffer) => {
    const part = chunk.subarray(0, limit - kept);
    if (part.length < chunk.length) truncated = true;
    if (part.length === 0) return;
    // A copy, for a small part would keep its whole chunk.
    chunks.push(Buffer.from(part));
    kept += part.length;
  });
  stream.on("error", () => undefined);
  return {
    get truncated() {
      return truncated;
    },
    bytes: () => Buffer.concat(chunks),
  };
}
