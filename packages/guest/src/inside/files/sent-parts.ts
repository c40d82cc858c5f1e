import { FILES_CHUNK_BYTES } from "../../files-protocol.ts";
import type { FilesOutput } from "./files-output.ts";
import type { PartSink } from "./read-file.ts";

/** Parts of one read on their way: one is read while the other is sent, and both use the same memory again and again. */
export class SentParts implements PartSink {
  readonly #id: number;
  readonly #output: FilesOutput;
  readonly #free: Buffer[] = [
    Buffer.allocUnsafeSlow(FILES_CHUNK_BYTES),
    Buffer.allocUnsafeSlow(FILES_CHUNK_BYTES),
  ];
  #wake: ((buffer: Buffer) => void) | undefined;

  constructor(id: number, output: FilesOutput) {
    this.#id = id;
    this.#output = output;
  }

  buffer(): Promise<Buffer> {
    const free = this.#free.pop();
    if (free !== undefined) return Promise.resolve(free);
    return new Promise((resolve) => (this.#wake = resolve));
  }

  take(buffer: Buffer, length: number): void {
    if (length === 0) this.#release(buffer);
    else this.#output.bytes(this.#id, buffer.subarray(0, length), () => this.#release(buffer));
  }

  #release(buffer: Buffer): void {
    const wake = this.#wake;
    this.#wake = undefined;
    if (wake === undefined) this.#free.push(buffer);
    else wake(buffer);
  }
}
