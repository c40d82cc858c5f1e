import { request as httpRequest, type IncomingMessage } from "node:http";
import { isIP, isIPv6 } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { Guard } from "./guard.ts";

/** A request of the bridge itself. */
export interface GuardedPost {
  readonly url: URL;
  readonly body: string;
  readonly contentType: string;
  /** Ranges of an internal target, as its operator named them; null for the public internet, or the address in the URL itself. */
  readonly addresses: readonly string[] | null;
  readonly maxAnswerBytes: number;
  readonly signal: AbortSignal;
}

/** What came back; nothing is followed. */
export interface GuardedAnswer {
  readonly status: number;
  readonly body: string;
}

/** Sends one request of the bridge itself through the guard, and reads a bounded answer. */
export async function guardedPost(
  { url, body, contentType, addresses, maxAnswerBytes, signal }: GuardedPost,
  guard = new Guard(),
): Promise<GuardedAnswer> {
  const scheme = url.protocol === "https:" ? "https" : "http";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port);
  const ranges = addresses ?? ownRange(host);
  const { socket } = await guard.dial({ scheme, host, port, ranges }, signal);
  socket.on("error", () => undefined);
  try {
    const connection = scheme === "http" ? socket : await secured(socket, host, signal);
    const request = httpRequest({
      createConnection: () => connection,
      method: "POST",
      path: url.pathname + url.search,
      headers: { host: url.host, "content-type": contentType, connection: "close" },
      signal,
    });
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve).once("error", reject);
    });
    request.end(body);
    const { statusCode = 0 } = await answer;
    return { status: statusCode, body: await bounded(await answer, maxAnswerBytes) };
  } finally {
    socket.destroy();
  }
}

/** An address that the operator wrote is the rule for that very address. */
function ownRange(host: string): string[] | null {
  return isIP(host) === 0 ? null : [`${host}/${isIPv6(host) ? "128" : "32"}`];
}

function secured(socket: Duplex, host: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      opened.destroy(new Error("it was given up"));
    };
    const opened = connectTls({
      socket,
      host,
      // Said, so that no variable in the bridge's environment turns the check off.
      rejectUnauthorized: true,
      ...(isIP(host) === 0 && { servername: host }),
    });
    opened.once("secureConnect", () => {
      resolve(opened);
    });
    opened.once("error", reject).once("close", () => {
      signal.removeEventListener("abort", stop);
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}

async function bounded(answer: AsyncIterable<unknown>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) continue;
    length += chunk.length;
    if (length > maxBytes) throw new Error("its answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
