/** What a line of input was: a message, or why it is none. */
export type Line =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "too-long" }
  | { readonly kind: "not-utf8" };

const NEWLINE = 0x0a;

/**
 * Splits bytes into lines of strict UTF-8, without the newline; empty ones are skipped. A longer line than `maxBytes` is
 * dropped while it comes, so that it costs no memory.
 */
export async function* readJsonLines(
  input: AsyncIterable<unknown>,
  maxBytes: number,
): AsyncGenerator<Line, void> {
  const line = new LineBuffer(maxBytes);
  for await (const chunk of input) {
    let rest = bytesOf(chunk);
    for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE)) {
      line.add(rest.subarray(0, at));
      const whole = line.take();
      if (whole !== undefined) yield whole;
      rest = rest.subarray(at + 1);
    }
    line.add(rest);
  }
  const last = line.take();
  if (last !== undefined) yield last;
}

/** The line that is being read. */
class LineBuffer {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #parts: Uint8Array[] = [];
  #size = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(bytes: Uint8Array): void {
    this.#size += bytes.length;
    if (this.#size > this.#maxBytes) this.#parts = [];
    else if (bytes.length > 0) this.#parts.push(bytes);
  }

  take(): Line | undefined {
    const [parts, size] = [this.#parts, this.#size];
    this.#parts = [];
    this.#size = 0;
    if (size > this.#maxBytes) return { kind: "too-long" };
    try {
      const text = this.#decoder.decode(Buffer.concat(parts)).trim();
      return text === "" ? undefined : { kind: "text", text };
    } catch {
      return { kind: "not-utf8" };
    }
  }
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  return typeof chunk === "string" ? Buffer.from(chunk) : new Uint8Array();
}
