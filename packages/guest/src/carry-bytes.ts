import type { Socket } from "node:net";

const FIRST_BYTES = 16_384;
const LARGE_BYTES = 262_144;
/** Large buffers that one process holds at most; connections beyond read in pieces of {@link MIDDLE_BYTES}. */
const MOST_LARGE = 64;
const MIDDLE_BYTES = 65_536;

let large = 0;

/**
 * Carries what one socket receives into another with back-pressure, through one buffer that is used again for each read:
 * no allocation for each chunk, and large reads for those who move much. `passed` hears of each piece before it goes on;
 * a socket that it destroys gets nothing more. Ends, errors and the first `resume` are the caller's.
 *
 * It is the documented `onread` of `new net.Socket`, put onto sockets that exist already; where Node's inside is not as
 * we know it (tried with 20 and 24), nothing was changed, and the answer is false: read it as a stream then.
 */
export function carryBytes(from: Socket, to: Socket, passed: (bytes: number) => void): boolean {
  const inside = insideOf(from);
  if (inside === null) return false;
  const buffers = new ReadBuffers(from);
  const carry = (bytes: number, buffer: Uint8Array): boolean => {
    passed(bytes);
    if (from.destroyed || !to.writable) return true;
    // The buffer is read into again only once nothing of it waits any more.
    let waits = false;
    to.write(buffer.subarray(0, bytes), () => {
      if (waits) from.resume();
    });
    waits = to.writableLength > 0;
    return !waits;
  };
  Reflect.set(from, inside.buffer, buffers.current);
  Reflect.set(from, inside.next, (): Uint8Array => buffers.current);
  Reflect.set(from, inside.callback, (bytes: number, buffer: Uint8Array) => {
    buffers.used(bytes);
    return carry(bytes, buffer);
  });
  inside.useUserBuffer(buffers.current);
  sendOn(from, to, passed);
  return true;
}

/** What was read before as a stream. */
function sendOn(from: Socket, to: Socket, passed: (bytes: number) => void): void {
  for (let chunk = readChunk(from); chunk !== null; chunk = readChunk(from)) {
    passed(chunk.length);
    if (from.destroyed || !to.writable) return;
    to.write(chunk);
  }
}

function readChunk(from: Socket): Buffer | null {
  const chunk: unknown = from.read();
  return Buffer.isBuffer(chunk) ? chunk : null;
}

/** The buffer of one direction: small until a read fills it. */
class ReadBuffers {
  current: Uint8Array = Buffer.allocUnsafeSlow(FIRST_BYTES);
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** A buffer that was read full gives way to a larger one. */
  used(bytes: number): void {
    if (bytes < this.current.length || this.current.length > FIRST_BYTES) return;
    if (large >= MOST_LARGE) {
      this.current = Buffer.allocUnsafeSlow(MIDDLE_BYTES);
      return;
    }
    large += 1;
    this.#socket.once("close", () => (large -= 1));
    this.current = Buffer.allocUnsafeSlow(LARGE_BYTES);
  }
}

interface Inside {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly next: symbol;
  useUserBuffer(buffer: Uint8Array): void;
}

/** Where Node keeps what `onread` sets; null when anything is not as expected. */
function insideOf(socket: Socket): Inside | null {
  const own = Object.getOwnPropertySymbols(socket);
  const find = (name: string): symbol | undefined => own.find(({ description }) => description === name);
  const [buffer, callback, next] = [find("kBuffer"), find("kBufferCb"), find("kBufferGen")];
  const handle: unknown = Reflect.get(socket, "_handle");
  if (buffer === undefined || callback === undefined || next === undefined || !takesBuffer(handle))
    return null;
  const unused = [buffer, callback, next].every((each) => Reflect.get(socket, each) === null);
  return unused ? { buffer, callback, next, useUserBuffer: (given) => handle.useUserBuffer(given) } : null;
}

function takesBuffer(handle: unknown): handle is { useUserBuffer(buffer: Uint8Array): void } {
  return (
    typeof handle === "object" &&
    handle !== null &&
    "useUserBuffer" in handle &&
    typeof handle.useUserBuffer === "function"
  );
}
