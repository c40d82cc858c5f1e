import { request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";

/** One call of Podman's own API. */
export interface LibpodCall {
  readonly method: "GET" | "POST" | "DELETE";
  /** Path after `/v4.0.0/libpod`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Status codes that are an answer, not a failure. */
  readonly accept?: readonly number[];
  readonly signal?: AbortSignal;
}

const prefix = "/v4.0.0/libpod";
const attempts = 4;
const usual = [200, 201, 204, 304];

/** What Podman says of a call that failed. */
const Failure = z.object({ message: z.string() });

/** Podman's libpod endpoints on the service's socket. */
export class LibpodApi {
  readonly #socket: string;
  readonly #ready: (signal?: AbortSignal) => Promise<void>;

  /** `ready` waits for a service that is on its way up again. */
  constructor(socket: string, ready: (signal?: AbortSignal) => Promise<void> = () => Promise.resolve()) {
    this.#socket = socket;
    this.#ready = ready;
  }

  /** Calls an endpoint and parses its JSON answer. */
  async json<T>(schema: z.ZodType<T>, call: LibpodCall): Promise<T> {
    const parsed = schema.safeParse(asJson(await this.#text(call)));
    if (parsed.success) return parsed.data;
    const problem = z.prettifyError(parsed.error).slice(0, 500);
    throw new DoorwardError({
      code: "PODMAN_FAILED",
      message: `Cannot read Podman's answer to "${call.path}": ${problem}`,
    });
  }

  /** Calls an endpoint whose answer does not matter. */
  async send(call: LibpodCall): Promise<void> {
    await this.#text(call);
  }

  /** Calls an endpoint that answers with a stream of bytes. */
  stream(call: LibpodCall): Promise<IncomingMessage> {
    return this.#call(call, (response) => Promise.resolve(response));
  }

  #text(call: LibpodCall): Promise<string> {
    return this.#call(call, text);
  }

  /** Calls that may be repeated without harm are, when the service dies under them. */
  async #call<T>(call: LibpodCall, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      await this.#ready(call.signal);
      try {
        return await read(await this.#answer(call));
      } catch (thrown) {
        const error = asDoorwardError(thrown, call);
        if (error.code !== "PODMAN_UNREACHABLE" || call.method === "POST" || attempt === attempts)
          throw error;
        await delay(100, undefined, call.signal === undefined ? {} : { signal: call.signal });
      }
    }
  }

  /** The answer, as soon as its head is there; one that is a failure throws what Podman says of it. */
  async #answer(call: LibpodCall): Promise<IncomingMessage> {
    const response = await this.#dial(call);
    const { statusCode = 0 } = response;
    if (usual.includes(statusCode) || call.accept?.includes(statusCode) === true) return response;
    const body = await text(response);
    const failure = Failure.safeParse(asJson(body));
    throw failed(call, failure.success ? failure.data.message : body, statusCode);
  }

  #dial({ method, path, query = {}, body, signal }: LibpodCall): Promise<IncomingMessage> {
    const search = new URLSearchParams(query).toString();
    const content = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const asked = request({
        socketPath: this.#socket,
        path: `${prefix}${path}${search === "" ? "" : `?${search}`}`,
        method,
        ...(content === undefined ? {} : { headers: jsonHead(content) }),
        ...(signal === undefined ? {} : { signal }),
      });
      asked.once("response", resolve);
      asked.on("error", reject);
      asked.end(content);
    });
  }
}

function jsonHead(content: string): { "content-type": string; "content-length": number } {
  return { "content-type": "application/json", "content-length": Buffer.byteLength(content) };
}

/** The value of a text; the text itself when it is no JSON. */
function asJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

const unreachable = new Set(["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE"]);

function asDoorwardError(error: unknown, call: LibpodCall): DoorwardError {
  if (error instanceof DoorwardError) return error;
  if (call.signal?.aborted === true)
    return new DoorwardError({ code: "ABORTED", message: "The operation was stopped", cause: error });
  const gone = error instanceof Error && "code" in error && unreachable.has(String(error.code));
  const what = error instanceof Error ? error.message : String(error);
  return new DoorwardError({
    code: gone ? "PODMAN_UNREACHABLE" : "PODMAN_FAILED",
    message: sentence(call, what),
    details: { status: null },
    cause: error,
  });
}

function failed(call: LibpodCall, what: string, status: number): DoorwardError {
  return new DoorwardError({ code: "PODMAN_FAILED", message: sentence(call, what), details: { status } });
}

function sentence({ method, path }: LibpodCall, what: string): string {
  return `Cannot call Podman ("${method} ${path}"): ${what.trim()}`;
}
