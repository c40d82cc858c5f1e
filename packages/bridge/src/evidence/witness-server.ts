import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { MAX_REQUEST_BYTES } from "./add-checkpoint.ts";
import type { Witness } from "./witness.ts";

/** Where a witness listens. */
export interface WitnessAddress {
  readonly host: string;
  /** 0 takes any. */
  readonly port: number;
}

/** A witness that listens; disposing it ends every connection. */
export interface WitnessServer extends AsyncDisposable {
  readonly port: number;
}

/** Serves a witness as C2SP tlog-witness: POST /add-checkpoint. Callers need no token: the checkpoint's signature is what counts. */
export async function serveWitness(witness: Witness, { host, port }: WitnessAddress): Promise<WitnessServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
    void answer(witness, request, response).catch(() => response.destroy());
  });
  server.maxConnections = 100;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url !== "/add-checkpoint") {
    end(response, 404, "no such path\n");
    return;
  }
  if (request.method !== "POST") {
    end(response, 405, "POST only\n");
    return;
  }
  const body = await readBody(request);
  if (body === null) {
    end(response, 413, "too long\n");
    return;
  }
  const { status, body: text } = await witness.addCheckpoint(body);
  end(response, status, text, status === 409 ? "text/x.tlog.size" : "text/plain; charset=utf-8");
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Buffer)) return null;
    length += chunk.length;
    if (length > MAX_REQUEST_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function end(
  response: ServerResponse,
  status: number,
  body: string,
  type = "text/plain; charset=utf-8",
): void {
  response.writeHead(status, { "content-type": type, "x-content-type-options": "nosniff" }).end(body);
}
