import {
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { answerRefusal, flushSoon, passAnswer } from "./answer.ts";
import { openExchange, type Exchange } from "./exchange.ts";
import { headSize, safeTrailers, valuesOf, without, pairs } from "./header-rules.ts";
import { authorityText } from "./authority.ts";
import type { FrontParts, RequestScope } from "./scope.ts";

/** Passes one request on to the far side and its answer back, both as they come; nothing is tried twice that has a body. */
export async function forwardRequest(
  parts: FrontParts,
  scope: RequestScope,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const life = new AbortController();
  const end = (): void => {
    life.abort();
  };
  const closed = (): void => {
    // An answer that is handed over ends only the answer: the request's body may still be on its way.
    if (!response.writableFinished) end();
  };
  response.once("close", closed);
  scope.signal.addEventListener("abort", end, { once: true });
  const timers = new BodyTimers(parts, request, life);
  try {
    using exchange = await openExchange(parts, scope, request, life.signal, (reason) => {
      life.abort(reason);
    });
    try {
      await attempt(parts, scope, exchange, { request, response, life, timers });
    } catch (error) {
      const failure = causeOf(error, life.signal);
      exchange.books.failed(failure.code);
      throw failure;
    }
  } catch (error) {
    answerRefusal(request, response, error);
  } finally {
    timers.stop();
    scope.signal.removeEventListener("abort", end);
    response.off("close", closed);
  }
}

interface Attempt {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly life: AbortController;
  readonly timers: BodyTimers;
}

async function attempt(
  parts: FrontParts,
  scope: RequestScope,
  exchange: Exchange,
  of: Attempt,
): Promise<void> {
  const hasBody = bodyFraming(of.request).length > 0;
  for (let tries = 0; ; tries += 1) {
    const far = startFar(parts, scope, exchange, of.request, of.life.signal);
    try {
      const answer = await exchangeOnce(far, of, exchange, hasBody);
      await passAnswer(answer, of.response, exchange, () => {
        of.timers.moved();
      });
      await bodyEnd(far, of);
      return;
    } catch (error) {
      far.destroy();
      // The far side closed an idle connection just as it was used again: nothing of the request was served.
      const stale = far.reusedSocket && !hasBody && !of.response.headersSent && !of.life.signal.aborted;
      if (!stale || tries > 0 || !["GET", "HEAD"].includes(exchange.method)) throw error;
    }
  }
}

/** Makes the far side's request; its connection comes from the pool or is dialled by the gate. */
export function startFar(
  parts: FrontParts,
  scope: RequestScope,
  exchange: Exchange,
  request: IncomingMessage,
  signal: AbortSignal,
  extra: readonly string[] = [],
): ClientRequest {
  const headers = [
    "Host",
    authorityText(exchange.target.authority, scope.scheme),
    ...without(exchange.headers, ["host", "content-length"]),
    ...bodyFraming(request),
    ...extra,
  ];
  const agent = parts.pool.agentFor(exchange.permit, scope.scheme, signal);
  const far = httpRequest({
    agent,
    method: exchange.method,
    path: exchange.target.path,
    headers,
    setHost: false,
    insecureHTTPParser: false,
    maxHeaderSize: parts.limits.headBytes,
    signal,
  });
  exchange.books.sent(headSize(headers));
  far.once("socket", (socket) => {
    const address = agent.addressOf(socket);
    if (address !== undefined) exchange.books.dialled(address);
  });
  return far;
}

function bodyFraming(request: IncomingMessage): string[] {
  const [length] = valuesOf(request.rawHeaders, "content-length");
  if (length !== undefined) return ["Content-Length", length];
  const chunked = valuesOf(request.rawHeaders, "transfer-encoding").length > 0;
  if (!chunked) return ["POST", "PUT", "PATCH"].includes(request.method ?? "") ? ["Content-Length", "0"] : [];
  const trailer = valuesOf(request.rawHeaders, "trailer");
  return ["Transfer-Encoding", "chunked", ...(trailer.length > 0 ? ["Trailer", trailer.join(", ")] : [])];
}

function exchangeOnce(
  far: ClientRequest,
  { request, response, timers }: Attempt,
  exchange: Exchange,
  hasBody: boolean,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let answered = false;
    far.once("response", (answer) => {
      answered = true;
      resolve(answer);
    });
    far.on("error", reject);
    far.once("close", () => {
      if (answered) return;
      reject(
        new DoorwardError({ code: "EGRESS_UNREACHABLE", message: "The far side closed the connection" }),
      );
    });
    far.once("continue", () => {
      if (!response.headersSent) response.writeContinue();
    });
    if (!hasBody) {
      far.end();
      return;
    }
    const begun = flushSoon(far);
    request.on("data", (chunk: Buffer) => {
      // What comes behind an answer of a far side that is gone goes nowhere.
      if (far.destroyed) return;
      timers.moved();
      exchange.books.sent(chunk.length);
      begun();
      if (!far.write(chunk)) request.pause();
    });
    far.on("drain", () => request.resume());
    request.once("end", () => {
      if (request.rawTrailers.length > 0) {
        far.addTrailers([...pairs(safeTrailers(request.rawTrailers))]);
      }
      begun();
      far.end();
    });
    far.once("close", begun);
    request.once("error", reject);
  });
}

/** A far side may answer before it has the whole request: what still goes out is counted, capped and cut like the rest. */
async function bodyEnd(far: ClientRequest, { request, life }: Attempt): Promise<void> {
  if (request.complete) return;
  await new Promise<void>((resolve) => {
    for (const emitter of [far, request]) emitter.once("close", resolve);
    request.once("end", resolve);
    if (far.destroyed || request.destroyed) resolve();
  });
  life.signal.throwIfAborted();
  if (request.destroyed && !request.readableEnded) far.destroy();
  request.resume();
}

/** What ended a request: the gate's cut, a time-out of ours, our own error, or the far side. */
function causeOf(error: unknown, signal: AbortSignal): DoorwardError {
  if (signal.aborted && signal.reason instanceof DoorwardError) return signal.reason;
  if (error instanceof DoorwardError) return error;
  if (signal.aborted) return toDoorwardError(error);
  const why = error instanceof Error ? error.message : String(error);
  return new DoorwardError({
    code: "EGRESS_UNREACHABLE",
    message: `The far side failed: ${why}`,
    cause: error,
  });
}

/** Ends a request whose body stands still, and one on which nothing moves either way. */
class BodyTimers {
  readonly #body: NodeJS.Timeout;
  #idle: NodeJS.Timeout;
  readonly #onEnd: () => void;
  readonly #request: IncomingMessage;

  constructor(parts: FrontParts, request: IncomingMessage, life: AbortController) {
    this.#request = request;
    const { bodyMs, idleMs } = parts.limits;
    this.#body = setTimeout(() => {
      // A far side that reads slowly is no fault of the machine's program.
      if (!request.complete && !request.isPaused())
        life.abort(timedOut(`its body stood still for ${bodyMs} ms`));
    }, bodyMs);
    const idleFor = (ms: number): NodeJS.Timeout =>
      setTimeout(() => {
        life.abort(timedOut(`nothing moved for ${ms} ms`));
      }, ms);
    this.#idle = idleFor(idleMs);
    // A program that ended its side may still read, or may be gone: only bytes that move tell, so they must.
    this.#onEnd = () => {
      clearTimeout(this.#idle);
      this.#idle = idleFor(bodyMs);
    };
    request.socket.once("end", this.#onEnd);
  }

  moved(): void {
    if (!this.#request.complete) this.#body.refresh();
    this.#idle.refresh();
  }

  stop(): void {
    this.#request.socket.off("end", this.#onEnd);
    clearTimeout(this.#body);
    clearTimeout(this.#idle);
  }
}

function timedOut(why: string): DoorwardError {
  return new DoorwardError({ code: "TIMED_OUT", message: `Cannot pass on a request: ${why}` });
}
