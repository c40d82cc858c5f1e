import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";

/** What {@link readUntil} waits for, and for how long. */
export interface ReadPlan<T> {
  /** Looks at all bytes so far; null for more. `used` bytes are taken off the stream, the rest goes back. */
  readonly take: (bytes: Buffer, ended: boolean) => { readonly value: T; readonly used: number } | null;
  readonly maxBytes: number;
  readonly ms: number;
  readonly signal: AbortSignal;
  /** For errors: `the TLS hello`. */
  readonly what: string;
}

/** Reads the beginning of a stream until its reader is content; TIMED_OUT, INPUT_TOO_LARGE, PROTOCOL_ERROR or ABORTED otherwise. */
export function readUntil<T>(stream: Duplex, plan: ReadPlan<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let gathered: Buffer = Buffer.alloc(0);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      plan.signal.removeEventListener("abort", onAbort);
      stream.off("readable", onReadable);
      stream.off("end", onEnd);
      stream.off("close", onClose);
      stream.off("error", onError);
      act();
    };
    const fail = (error: DoorwardError): void => {
      settle(() => {
        reject(error);
      });
    };
    const look = (ended: boolean): boolean => {
      try {
        const taken = plan.take(gathered, ended);
        if (taken === null) return false;
        settle(() => {
          if (gathered.length > taken.used) stream.unshift(gathered.subarray(taken.used));
          resolve(taken.value);
        });
      } catch (error) {
        settle(() => {
          reject(error instanceof Error ? error : new Error(String(error)));
        });
      }
      return true;
    };
    const onReadable = (): void => {
      for (let chunk = readChunk(stream); chunk !== null; chunk = readChunk(stream)) {
        gathered = gathered.length === 0 ? chunk : Buffer.concat([gathered, chunk]);
        if (look(false)) return;
        if (gathered.length > plan.maxBytes) {
          fail(problem("INPUT_TOO_LARGE", plan.what, "it is too long"));
          return;
        }
      }
    };
    const onEnd = (): void => {
      if (!look(true)) fail(problem("PROTOCOL_ERROR", plan.what, "the connection ended before it"));
    };
    const onClose = (): void => {
      fail(problem("ABORTED", plan.what, "the connection was closed"));
    };
    const onError = (cause: Error): void => {
      fail(problem("ABORTED", plan.what, "the connection failed", cause));
    };
    const onAbort = (): void => {
      fail(problem("ABORTED", plan.what, "the machine's egress ended"));
    };
    const timer = setTimeout(() => {
      fail(problem("TIMED_OUT", plan.what, `it did not arrive within ${plan.ms} ms`));
    }, plan.ms);
    plan.signal.addEventListener("abort", onAbort, { once: true });
    stream.on("end", onEnd);
    stream.on("close", onClose);
    stream.on("error", onError);
    stream.on("readable", onReadable);
    if (plan.signal.aborted) onAbort();
    else if (stream.destroyed) onClose();
    else if (stream.readableEnded) onEnd();
    else onReadable();
  });
}

function readChunk(stream: Duplex): Buffer | null {
  const chunk: unknown = stream.read();
  return Buffer.isBuffer(chunk) ? chunk : null;
}

function problem(
  code: "INPUT_TOO_LARGE" | "PROTOCOL_ERROR" | "ABORTED" | "TIMED_OUT",
  what: string,
  why: string,
  cause?: Error,
): DoorwardError {
  return new DoorwardError({ code, message: `Cannot read ${what}: ${why}`, cause });
}
