import type { IncomingMessage, OutgoingMessage, ServerResponse } from "node:http";
import { toDoorwardError } from "@doorward/contracts";
import { guardBoundAnswer } from "../../secrets/index.ts";
import type { Exchange } from "./exchange.ts";
import { endToEnd, headSize, pairs, safeTrailers, valuesOf } from "./header-rules.ts";
import { refusalOf } from "./refusal.ts";
import { sever } from "./splice.ts";

/** The head of an answer as the machine gets it: end-to-end headers, with no secret in them. */
export function answerHead(
  answer: IncomingMessage,
  { mask, permit }: Exchange,
  upgraded = false,
): AnswerHead {
  const status = answer.statusCode ?? 502;
  const reason = answer.statusMessage ?? "";
  // The program would wait for another answer behind it.
  if (status < 200 && !upgraded) throw new Error(`it answered ${status}, which is no end of a request`);
  const headers = endToEnd(answer.rawHeaders);
  if (mask === null) return { status, reason, headers };
  guardBoundAnswer(permit.target.host, status, answer.rawHeaders, upgraded);
  return { status, reason: mask.text(reason), headers: mask.headers(headers) };
}

/** Status, reason and headers of an answer. */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: string[];
}

/** Passes an answer on to the machine as it comes, with its trailers; resolves when all of it is handed over. */
export async function passAnswer(
  answer: IncomingMessage,
  response: ServerResponse,
  exchange: Exchange,
  moved: () => void,
): Promise<void> {
  const { books, mask, method, target } = exchange;
  const { status, reason, headers } = answerHead(answer, exchange);
  const trailers = valuesOf(answer.rawHeaders, "trailer");
  if (trailers.length > 0 && mayHaveTrailers(response, status, headers)) {
    const named = trailers.join(", ");
    headers.push("Trailer", mask?.text(named) ?? named);
  }
  books.received(headSize(answer.rawHeaders));
  books.request(method, target.path, status);
  response.sendDate = false;
  response.writeHead(status, reason, headers);
  await passBody(answer, response, exchange, moved);
}

/** Trailers follow chunks alone; HTTP/1.0 knows neither, and some answers have no body. */
function mayHaveTrailers(
  { req: { method, httpVersion } }: ServerResponse,
  status: number,
  headers: readonly string[],
): boolean {
  const bodiless = method === "HEAD" || status === 204 || status === 304;
  return !bodiless && httpVersion === "1.1" && valuesOf(headers, "content-length").length === 0;
}

/** Written out, since a pipeline of node:stream costs as much as all else that is done for a small answer. */
function passBody(
  answer: IncomingMessage,
  response: ServerResponse,
  { books, mask }: Exchange,
  moved: () => void,
): Promise<void> {
  const masked = mask?.body();
  return new Promise((resolve, reject) => {
    const begun = flushSoon(response);
    answer.on("data", (chunk: Buffer) => {
      moved();
      books.received(chunk.length);
      const passed = masked?.next(chunk) ?? chunk;
      if (passed.length === 0) return;
      begun();
      if (!response.write(passed)) answer.pause();
    });
    response.on("drain", () => answer.resume());
    answer.once("end", () => {
      const after = safeTrailers(answer.rawTrailers);
      if (after.length > 0) response.addTrailers([...pairs(mask?.headers(after) ?? after)]);
      begun();
      response.end(masked?.end());
    });
    response.once("finish", resolve);
    answer.on("error", reject).once("close", () => {
      if (!answer.readableEnded) reject(new Error("the answer broke off"));
    });
    response.on("error", reject).once("close", () => {
      begun();
      if (!response.writableFinished) reject(new Error("the program went away"));
    });
    if (answer.errored !== null) reject(answer.errored);
    else if (response.destroyed) reject(new Error("the program went away"));
  });
}

/** Sends a head in a moment, unless it went out with what follows it: then one write does for both. Answers what to call when it did. */
export function flushSoon(message: OutgoingMessage): () => void {
  const flush = setImmediate(() => {
    message.flushHeaders();
  });
  return () => {
    clearImmediate(flush);
  };
}

/** Answers a request with a refusal, or breaks its connection when its answer has begun. */
export function answerRefusal(request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
  const error = toDoorwardError(thrown);
  if (response.headersSent || response.destroyed) {
    // To HTTP/1.0, whose answers may end with their connection, an orderly end would look like that of the answer.
    if (request.httpVersion === "1.0") sever(request.socket);
    else request.socket.destroy();
    return;
  }
  const refusal = refusalOf(error, request.headers.accept);
  response.sendDate = false;
  if (hasBody(request) || error.code === "PROTOCOL_ERROR" || error.code === "EGRESS_MISMATCH") {
    response.shouldKeepAlive = false;
  }
  response.writeHead(refusal.status, refusal.reason, [...refusal.headers]);
  response.end(request.method === "HEAD" ? undefined : refusal.body);
}

function hasBody(request: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  return coding !== undefined || (length !== undefined && length !== "0");
}
