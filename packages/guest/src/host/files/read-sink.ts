import { createHash, hash, type Hash } from "node:crypto";
import type * as z from "zod";
import type { FileContent } from "../../files.ts";
import { SMALL_READ_BYTES, type ReadAnswer } from "../../files-protocol.ts";
import { protocolError } from "../guest-stream.ts";

type ReadAnswer = z.infer<typeof ReadAnswer>;

/** Takes the bytes of one read, no more than were asked for and told of. */
export class ReadSink {
  readonly #offset: number;
  readonly #asked: number;
  #parts: Buffer[] = [];
  #buffer: Buffer | undefined;
  #hash: Hash | undefined;
  #announced: ReadAnswer | undefined;
  #sending = false;
  #discarding = false;
  #received = 0;

  constructor(offset: number, asked: number) {
    this.#offset = offset;
    this.#asked = asked;
  }

  /** The guest says how much it will send; only once, and before it sends anything. */
  announce(head: ReadAnswer): void {
    if (this.#announced !== undefined || this.#received > 0) throw protocolError("it announces a read twice");
    if (head.bytes > this.#asked) throw protocolError("it announces more than was asked for");
    this.#announced = head;
  }

  /** From now on what was announced may come. */
  begin(): void {
    const { bytes = 0, size = 0 } = this.#announced ?? {};
    this.#sending = true;
    if (this.#discarding) return;
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
    if (this.#offset === 0 && bytes >= size) this.#hash = createHash("sha256");
  }

  push(part: Buffer): void {
    const limit =
      this.#announced === undefined ? Math.min(SMALL_READ_BYTES, this.#asked) : this.#announced.bytes;
    if (this.#announced !== undefined && !this.#sending) throw protocolError("it sends before it may");
    if (this.#received + part.length > limit) throw protocolError("it sends more than was asked for");
    if (!this.#discarding) this.#keep(part);
    this.#received += part.length;
  }

  /** What comes from now on is of no use. */
  discard(): void {
    this.#discarding = true;
    this.#parts = [];
    this.#buffer = undefined;
  }

  finish(answer: ReadAnswer): FileContent {
    const { size, bytes, whole } = answer;
    const all = this.#offset === 0 && bytes === size;
    if (bytes !== this.#received || size < bytes || (whole && !all))
      throw protocolError("what it says of a read is not what it sent");
    const content = this.#content();
    return { bytes: content, size, digest: whole ? this.#digest(content) : null, path: answer.path ?? null };
  }

  /** Small parts are copied: a view would keep the whole chunk that it came in. */
  #keep(part: Buffer): void {
    if (this.#buffer === undefined) this.#parts.push(Buffer.from(part));
    else part.copy(this.#buffer, this.#received);
    this.#hash?.update(part);
  }

  #content(): Buffer {
    const [only] = this.#parts;
    if (this.#buffer === undefined)
      return only !== undefined && this.#parts.length === 1 ? only : Buffer.concat(this.#parts);
    if (this.#received === this.#buffer.length) return this.#buffer;
    return Buffer.from(this.#buffer.subarray(0, this.#received));
  }

  #digest(content: Buffer): string {
    return `sha256:${this.#hash?.digest("hex") ?? hash("sha256", content)}`;
  }
}
