import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { WaitingBytes } from "../../door.ts";

const STALL_MS = 60_000;
/** The same where the grant leaves so much unread already that this could not be counted. */
const UNCOUNTED_STALL_MS = 1000;

/** How long a reader may take nothing, by whether what it leaves unread is counted. */
export function stallMs(counted: boolean): number {
  return counted ? STALL_MS : UNCOUNTED_STALL_MS;
}

/** Who reads an answer. */
export interface Reading {
  /** Aborts when nobody may or will read the rest. */
  readonly gone: AbortSignal;
  readonly bytes: WaitingBytes;
}

/** A Node request as the web-standard one that the SDK takes; its body is handed over apart. */
export function webRequestOf(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (name === "authorization" || value === undefined) continue;
    headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  const url = `http://localhost${request.url ?? "/"}`;
  return new Request(url, { method: request.method ?? "GET", headers, signal });
}

/**
 * Writes the SDK's answer as the Node response, at the reader's pace; a reader that takes nothing for a minute is cut
 * off, and one of a grant that leaves too much unread after a second.
 */
export async function writeAnswer(
  answer: Response,
  response: ServerResponse,
  reading: Reading,
): Promise<void> {
  if (response.headersSent || response.destroyed) {
    await answer.body?.cancel();
    return;
  }
  response.writeHead(answer.status, Object.fromEntries(headersOf(answer)));
  if (answer.body !== null) await pump(answer.body, response, reading);
  if (!response.writableEnded) response.end();
}

/** The gateway says what is cached, and Node what becomes of the connection. */
function headersOf(answer: Response): [string, string][] {
  return [...answer.headers].filter(([name]) => name !== "connection" && name !== "cache-control");
}

async function pump(
  body: ReadableStream<unknown>,
  response: ServerResponse,
  { gone, bytes }: Reading,
): Promise<void> {
  const reader = body.getReader();
  const leave = (): void => void reader.cancel(gone.reason).catch(() => undefined);
  gone.addEventListener("abort", leave, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || gone.aborted || response.writableEnded) return;
      if (value instanceof Uint8Array && !response.write(value))
        await drained(response, value.length, { gone, bytes });
    }
  } catch (thrown) {
    if (!gone.aborted) throw thrown;
  } finally {
    gone.removeEventListener("abort", leave);
  }
}

async function drained(response: ServerResponse, unread: number, { gone, bytes }: Reading): Promise<void> {
  const counted = bytes.take(unread);
  const stall = AbortSignal.timeout(stallMs(counted));
  try {
    await once(response, "drain", { signal: AbortSignal.any([gone, stall]) });
  } catch (thrown) {
    response.destroy();
    throw thrown;
  } finally {
    if (counted) bytes.give(unread);
  }
}
