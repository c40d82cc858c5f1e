import { connect, type Socket } from "node:net";
import { DoorwardError } from "@doorward/contracts";

/** How a connection is made. */
export interface DialOptions {
  readonly port: number;
  readonly signal: AbortSignal;
  /** All tries together. */
  readonly timeoutMs: number;
  /** After how long the next address is tried beside the one before. */
  readonly staggerMs: number;
}

/** A connected socket and the address at its far end. */
export interface Dialled {
  readonly socket: Socket;
  readonly address: string;
}

/**
 * Connects to the first of these addresses that answers, each tried a moment after the one before (RFC 8305). Nothing is
 * resolved here: the addresses are dialled exactly as they were checked. EGRESS_UNREACHABLE.
 */
export async function dialAddresses(
  host: string,
  addresses: readonly string[],
  options: DialOptions,
): Promise<Dialled> {
  const { signal } = options;
  signal.throwIfAborted();
  const attempts = new Set<Socket>();
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), options.timeoutMs);
  const stop = (): void => over.abort();
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await race(interleaved(addresses), attempts, over.signal, options);
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(host, options, over.signal.aborted ? "no answer in time" : reasonOf(error));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    for (const attempt of attempts) attempt.destroy();
  }
}

function race(
  addresses: readonly string[],
  attempts: Set<Socket>,
  over: AbortSignal,
  { port, staggerMs }: DialOptions,
): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    let at = 0;
    let next: NodeJS.Timeout | undefined;
    const settle = (done: () => void): void => {
      clearTimeout(next);
      at = addresses.length;
      done();
    };
    const tryNext = (): void => {
      clearTimeout(next);
      const address = addresses[at];
      if (address === undefined) return;
      at += 1;
      const socket = connect({ host: address, port, noDelay: true, autoSelectFamily: false });
      attempts.add(socket);
      socket.once("connect", () => {
        attempts.delete(socket);
        settle(() => resolve({ socket, address }));
      });
      socket.on("error", (error) => {
        if (!attempts.delete(socket)) return;
        if (at < addresses.length) tryNext();
        else if (attempts.size === 0) settle(() => reject(error));
      });
      if (at < addresses.length) next = setTimeout(tryNext, staggerMs);
    };
    over.addEventListener("abort", () => settle(() => reject(new Error("timed out"))), { once: true });
    tryNext();
  });
}

/** IPv6 and IPv4 in turn, so that a family without a route costs one step. */
function interleaved(addresses: readonly string[]): string[] {
  const six = addresses.filter((address) => address.includes(":"));
  const four = addresses.filter((address) => !address.includes(":"));
  const pairs = Array.from({ length: Math.max(six.length, four.length) }, (_, at) => [six[at], four[at]]);
  return pairs.flat().filter((address) => address !== undefined);
}

function unreachable(host: string, { port }: DialOptions, why: string): DoorwardError {
  return new DoorwardError({
    code: "EGRESS_UNREACHABLE",
    message: `Cannot reach "${host}" port ${port}: ${why}`,
    details: { reason: why },
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "no address answered";
}
