import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { answerHead } from "./answer.ts";
import { openExchange, type Exchange } from "./exchange.ts";
import { startFar } from "./forward.ts";
import { FrameMask } from "./frame-mask.ts";
import { pairs, valuesOf } from "./header-rules.ts";
import { refusalBytes, refusalOf } from "./refusal.ts";
import type { FrontParts, RequestScope } from "./scope.ts";
import { linger, sever, splice } from "./splice.ts";

/** Passes on a request that turns its connection into a WebSocket; no other protocol may follow. Resolves when it is over. */
export async function forwardUpgrade(
  parts: FrontParts,
  scope: RequestScope,
  request: IncomingMessage,
  stream: Duplex,
): Promise<void> {
  const life = new AbortController();
  const end = (): void => {
    life.abort();
  };
  stream.once("close", end);
  scope.signal.addEventListener("abort", end, { once: true });
  const told = { head: false };
  try {
    refuseOtherProtocols(request);
    using exchange = await openExchange(parts, scope, request, life.signal, (reason) => {
      life.abort(reason);
      sever(stream);
    });
    await switchOver(parts, scope, { request, stream, exchange, told, signal: life.signal });
  } catch (error) {
    // An answer that broke off in its middle must not look like one that ended.
    if (told.head) sever(stream);
    else if (!stream.destroyed) {
      stream.end(refusalBytes(refusalOf(toDoorwardError(error), request.headers.accept)));
      linger(stream, parts.limits.headMs);
    }
  } finally {
    scope.signal.removeEventListener("abort", end);
  }
}

function refuseOtherProtocols({ rawHeaders, method, httpVersion }: IncomingMessage): void {
  const framed =
    valuesOf(rawHeaders, "content-length").length + valuesOf(rawHeaders, "transfer-encoding").length;
  const [protocol] = valuesOf(rawHeaders, "upgrade");
  const fits = method === "GET" && httpVersion === "1.1" && framed === 0;
  if (fits && protocol?.trim().toLowerCase() === "websocket") return;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot pass on a request: an upgrade to ${JSON.stringify(protocol)} does not pass, a GET to "websocket" does`,
  });
}

interface Switch {
  readonly request: IncomingMessage;
  readonly stream: Duplex;
  readonly exchange: Exchange;
  /** Whether the program has the head of an answer. */
  readonly told: { head: boolean };
  readonly signal: AbortSignal;
}

function switchOver(parts: FrontParts, scope: RequestScope, of: Switch): Promise<void> {
  const { request, exchange, signal } = of;
  const { books } = exchange;
  const far = startFar(parts, scope, exchange, request, signal, [
    "Connection",
    "Upgrade",
    "Upgrade",
    "websocket",
  ]);
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const error = failure(cause, signal);
      books.failed(error.code);
      reject(error);
    };
    far.once("error", fail);
    far.once("response", (answer) => {
      passPlainAnswer(parts, of, answer).then(resolve, fail);
    });
    far.once("upgrade", (answer, socket, head) => {
      const protocol = valuesOf(answer.rawHeaders, "upgrade")[0]?.toLowerCase();
      if (protocol !== "websocket" || signal.aborted) {
        socket.destroy();
        fail(new Error("the far side switched to another protocol"));
        return;
      }
      try {
        writeHead(of, answer, ["Connection", "Upgrade", "Upgrade", "websocket"], true);
      } catch (error) {
        socket.destroy();
        fail(error);
        return;
      }
      if (head.length > 0) socket.unshift(head);
      void passFrames(parts, of, socket).then(resolve);
    });
    far.end();
  });
}

/** Bytes go both ways as they are; where a secret may be in them, the far side's frames are looked through. */
async function passFrames(parts: FrontParts, of: Switch, socket: Duplex): Promise<void> {
  const { exchange, stream, signal } = of;
  const { books, mask } = exchange;
  const cut = (): void => {
    sever(socket);
  };
  signal.addEventListener("abort", cut, { once: true });
  const frames = mask === null ? null : new FrameMask(mask);
  const how = await splice(stream, socket, {
    sent: (bytes) => {
      books.sent(bytes);
    },
    received: (bytes) => {
      books.received(bytes);
    },
    change:
      frames === null
        ? undefined
        : (chunk) => {
            try {
              return frames.next(chunk);
            } catch (error) {
              books.failed(toDoorwardError(error).code);
              throw error;
            }
          },
    idleMs: parts.limits.idleMs,
  });
  signal.removeEventListener("abort", cut);
  if (how === "idle") books.failed("TIMED_OUT");
}

/** An answer that switches nothing ends the connection after its body. */
async function passPlainAnswer(parts: FrontParts, of: Switch, answer: IncomingMessage): Promise<void> {
  writeHead(of, answer, ["Connection", "close"]);
  const masked = of.exchange.mask?.body();
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) continue;
    of.exchange.books.received(chunk.length);
    if (!of.stream.write(masked?.next(chunk) ?? chunk)) await drained(of.stream, of.signal);
  }
  of.stream.end(masked?.end());
  linger(of.stream, parts.limits.bodyMs);
}

function drained(stream: Duplex, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      stream.off("drain", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(new Error("the connection ended"));
      else resolve();
    };
    stream.once("drain", done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}

function writeHead(
  { stream, exchange, told }: Switch,
  answer: IncomingMessage,
  own: readonly string[],
  upgraded = false,
): void {
  const head = answerHead(answer, exchange, upgraded);
  exchange.books.request(exchange.method, exchange.target.path, head.status);
  const lines = [`HTTP/1.1 ${head.status} ${head.reason}`];
  for (const [name, value] of pairs([...head.headers, ...own])) lines.push(`${name}: ${value}`);
  told.head = true;
  stream.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
}

function failure(cause: unknown, signal: AbortSignal): DoorwardError {
  if (signal.reason instanceof DoorwardError) return signal.reason;
  if (cause instanceof DoorwardError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DoorwardError({ code: "EGRESS_UNREACHABLE", message: `The far side failed: ${why}`, cause });
}
