import { createHash } from "node:crypto";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";

/** Bytes of a body that anyone can compute. */
export function patterned(size: number): Buffer {
  const block = Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 7 + (at >> 5)) & 255));
  return Buffer.concat(Array.from({ length: Math.ceil(size / block.length) }, () => block)).subarray(0, size);
}

/** SHA-256 in hexadecimal. */
export function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Packed text, as it goes over the wire. */
export const PACKED = gzipSync("packed text that nobody may unpack on the way");

const ANSWERS = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>([
  ["/text", (_request, response) => response.end("text")],
  ["/echo", echo],
  ["/big", (_request, response) => void response.end(patterned(20_000_000))],
  ["/chunks", chunks],
  ["/events", events],
  ["/none", (_request, response) => response.writeHead(204).end()],
  ["/same", (_request, response) => response.writeHead(304, { etag: '"x"' }).end()],
  ["/sized", (_request, response) => response.writeHead(200, { "content-length": 1234 }).end()],
  ["/trailers", trailers],
  ["/packed", (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(PACKED)],
  ["/part", part],
  ["/moved", (_request, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end()],
  ["/cookies", (_request, response) => response.writeHead(200, { "set-cookie": ["a=1", "b=2"] }).end()],
  ["/missing", (_request, response) => response.writeHead(404, "Nowhere").end("no")],
  ["/close", (_request, response) => response.writeHead(200, { connection: "close" }).end("closed")],
]);

/** A far side that answers in every way that real ones do. */
export const farSide: RequestListener = (request, response) => {
  const [path = ""] = (request.url ?? "").split("?");
  const answer = ANSWERS.get(path);
  if (answer === undefined) response.writeHead(500).end(path);
  else answer(request, response);
};

function echo(request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash("sha256");
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    hash.update(chunk);
  });
  request.once("end", () => {
    const { method, url, headers, rawTrailers } = request;
    response.end(JSON.stringify({ method, url, headers, rawTrailers, size, sha256: hash.digest("hex") }));
  });
}

function chunks(_request: IncomingMessage, response: ServerResponse): void {
  let left = 5;
  const next = (): void => {
    left -= 1;
    if (left < 0) response.end();
    else response.write(`chunk ${left}\n`, () => setTimeout(next, 10));
  };
  next();
}

/** Sends one event and waits: it must arrive although the answer goes on. */
function events(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("data: first\n\n");
  request.socket.once("close", () => response.destroy());
}

function trailers(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { trailer: "x-sum" });
  response.write("body");
  response.addTrailers({ "x-sum": "42" });
  response.end();
}

function part(request: IncomingMessage, response: ServerResponse): void {
  const [, from = "0", to = "0"] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
  const bytes = patterned(10_000).subarray(Number(from), Number(to) + 1);
  response.writeHead(206, { "content-range": `bytes ${from}-${to}/10000` }).end(bytes);
}
