import * as http from "node:http";
import * as https from "node:https";
import { connect as connectSocket } from "node:net";
import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import { openSocket } from "./node-socket.ts";
import type {
  OpenOptions,
  Transport,
  TransportRequest,
  TransportResponse,
  WireSocket,
  WireSocketListener,
} from "./transport.ts";

/** How Node reaches a bridge. */
export type NodeTarget =
  { readonly socketPath: string; readonly token?: string } | { readonly url: URL; readonly token: string };

/** Reaches a bridge with node:http and ws, over a Unix socket or TCP. */
export class NodeTransport implements Transport {
  readonly address: string;
  readonly #target: NodeTarget;
  readonly #agent: http.Agent;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(target: NodeTarget) {
    this.#target = target;
    this.address = "socketPath" in target ? target.socketPath : target.url.origin;
    const secure = "url" in target && target.url.protocol === "https:";
    this.#agent = secure ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
    this.#headers = target.token === undefined ? {} : { authorization: `Bearer ${target.token}` };
  }

  request(request: TransportRequest): Promise<TransportResponse> {
    const { promise, resolve, reject } = deferred<TransportResponse>();
    const outgoing = this.#start(request);
    outgoing.once("response", (response) =>
      resolve({
        status: response.statusCode ?? 0,
        contentType: response.headers["content-type"] ?? "",
        body: readBody(response, this.address, request.signal),
      }),
    );
    outgoing.on("error", (cause) => reject(connectionError(this.address, cause, request.signal)));
    outgoing.end(request.body);
    return promise;
  }

  open(
    path: string,
    protocol: string,
    listener: WireSocketListener,
    { signal, headers, maxMessageBytes }: OpenOptions = {},
  ): Promise<WireSocket> {
    const target = this.#target;
    const local = "socketPath" in target ? (): Duplex => connectSocket(target.socketPath) : undefined;
    const origin = "url" in target ? target.url.origin.replace(/^http/, "ws") : "ws://localhost";
    const all = { ...headers, ...this.#headers };
    const options = { url: origin + path, protocol, headers: all, dial: local, signal, maxMessageBytes };
    return openSocket(options, listener, (cause) => connectionError(this.address, cause, signal));
  }

  close(): void {
    this.#agent.destroy();
  }

  #start(request: TransportRequest): http.ClientRequest {
    const headers = {
      ...this.#headers,
      accept: "application/json, application/x-ndjson",
      ...(request.body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(request.body) }),
    };
    const options = { method: request.method, path: request.path, headers, agent: this.#agent };
    const abort = request.signal === undefined ? {} : { signal: request.signal };
    if ("socketPath" in this.#target) {
      return http.request({ ...options, ...abort, socketPath: this.#target.socketPath });
    }
    const start = this.#target.url.protocol === "https:" ? https.request : http.request;
    return start(this.#target.url, { ...options, ...abort });
  }
}

async function* readBody(
  response: http.IncomingMessage,
  address: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) if (Buffer.isBuffer(chunk)) yield chunk;
  } catch (cause) {
    throw connectionError(address, cause, signal);
  }
}

/** What a failed connection means: stopped by the caller, or no bridge. */
function connectionError(address: string, cause: unknown, signal: AbortSignal | undefined): DoorwardError {
  if (cause instanceof DoorwardError) return cause;
  if (signal?.aborted === true) {
    return new DoorwardError({ code: "ABORTED", message: "The request was stopped", cause });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DoorwardError({
    code: "BRIDGE_UNREACHABLE",
    message: `Cannot reach the bridge at "${address}": ${why}`,
    hint: "doorward bridge status",
    cause,
  });
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
