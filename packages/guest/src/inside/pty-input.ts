interface Pending {
  bytes: Buffer;
  readonly drained: () => void;
}

const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 20;

/**
 * Writes to a pseudo-terminal whose descriptor does not block: at once where the kernel has room, later where it has not.
 * A write through libuv would block the whole guest while a program does not read its terminal.
 */
export class PtyInput {
  readonly #write: (bytes: Buffer) => number;
  #queue: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #closed = false;

  constructor(write: (bytes: Buffer) => number) {
    this.#write = write;
  }

  /** Writes a copy of `bytes` after everything before it; `drained` is called once the kernel has it. */
  write(bytes: Buffer, drained: () => void): void {
    if (this.#closed) {
      drained();
      return;
    }
    const idle = this.#queue.length === 0;
    this.#queue.push({ bytes: idle ? bytes : Buffer.from(bytes), drained });
    if (idle) this.#flush();
  }

  /** Drops what was not written. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    const dropped = this.#queue;
    this.#queue = [];
    for (const { drained } of dropped) drained();
  }

  #flush(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const written = this.#attempt(next.bytes);
      if (written < next.bytes.length) {
        // the caller's buffer is only lent, so what waits is a copy
        next.bytes = Buffer.from(next.bytes.subarray(written));
        this.#retryLater(written > 0);
        return;
      }
      this.#queue.shift();
      next.drained();
    }
    this.#retryMs = FIRST_RETRY_MS;
  }

  #attempt(bytes: Buffer): number {
    try {
      return this.#write(bytes);
    } catch (thrown) {
      if (thrown instanceof Error && "code" in thrown && thrown.code === "EAGAIN") return 0;
      // EIO: the program is gone, nobody will read this
      return bytes.length;
    }
  }

  #retryLater(progressed: boolean): void {
    this.#retryMs = progressed ? FIRST_RETRY_MS : Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    this.#timer = setTimeout(() => this.#flush(), this.#retryMs);
  }
}
