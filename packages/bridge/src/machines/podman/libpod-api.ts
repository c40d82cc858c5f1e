import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import Docker from "dockerode";
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

const Failure = z.object({
  statusCode: z.number().optional(),
  code: z.string().optional(),
  message: z.string(),
});

/** Podman's libpod endpoints through dockerode's connection to the service socket. */
export class LibpodApi {
  readonly #docker: Docker;
  readonly #ready: (signal?: AbortSignal) => Promise<void>;

  /** `ready` waits for a service that is on its way up again. */
  constructor(socket: string, ready: (signal?: AbortSignal) => Promise<void> = () => Promise.resolve()) {
    this.#docker = new Docker({ socketPath: socket });
    this.#ready = ready;
  }

  /** Calls an endpoint and parses its JSON answer. */
  async json<T>(schema: z.ZodType<T>, call: LibpodCall): Promise<T> {
    const answer = await this.#call(call, false);
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    const problem = z.prettifyError(parsed.error).slice(0, 500);
    throw new DoorwardError({
      code: "PODMAN_FAILED",
      message: `Cannot read Podman's answer to "${call.path}": ${problem}`,
    });
  }

  /** Calls an endpoint whose answer does not matter. */
  async send(call: LibpodCall): Promise<void> {
    await this.#call(call, false);
  }

  /** Calls an endpoint that answers with a stream of bytes. */
  async stream(call: LibpodCall): Promise<IncomingMessage> {
    const answer = await this.#call(call, true);
    if (isMessage(answer)) return answer;
    throw new DoorwardError({
      code: "PODMAN_FAILED",
      message: `Cannot read Podman's answer to "${call.path}": no stream`,
    });
  }

  /** Calls that may be repeated without harm are, when the service dies under them. */
  async #call(call: LibpodCall, isStream: boolean): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      await this.#ready(call.signal);
      try {
        return await this.#dial(call, isStream);
      } catch (error) {
        const lost = error instanceof DoorwardError && error.code === "PODMAN_UNREACHABLE";
        if (!lost || call.method === "POST" || attempt === attempts) throw error;
        await delay(100, undefined, call.signal === undefined ? {} : { signal: call.signal });
      }
    }
  }

  #dial(call: LibpodCall, isStream: boolean): Promise<unknown> {
    const { method, path, query = {}, body, accept = [], signal } = call;
    const search = new URLSearchParams(query).toString();
    // docker-modem takes what follows "?" for options of its own, so the finished path has none at its end.
    const full = `${prefix}${path}${search === "" ? "" : `?${search}`}`;
    const statusCodes: Record<number, boolean> = {};
    for (const status of [...usual, ...accept]) statusCodes[status] = true;
    return new Promise((resolve, reject) => {
      const options = {
        path: full.includes("?") ? `${full}&` : full,
        method,
        isStream,
        statusCodes,
        ...(body === undefined ? {} : { options: { _query: {}, _body: body } }),
        ...(signal === undefined ? {} : { abortSignal: signal }),
      };
      this.#docker.modem.dial(options, (error: unknown, answer: unknown) => {
        if (error === null || error === undefined) resolve(answer);
        else reject(asDoorwardError(error, call));
      });
    });
  }
}

function isMessage(answer: unknown): answer is IncomingMessage {
  return typeof answer === "object" && answer !== null && "pipe" in answer && "destroy" in answer;
}

const unreachable = new Set(["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE"]);

function asDoorwardError(error: unknown, { method, path, signal }: LibpodCall): DoorwardError {
  if (signal?.aborted === true)
    return new DoorwardError({ code: "ABORTED", message: "The operation was stopped", cause: error });
  const failure = Failure.safeParse(error);
  const { statusCode, code, message } = failure.success
    ? failure.data
    : { statusCode: undefined, code: undefined, message: String(error) };
  const gone = code !== undefined && unreachable.has(code);
  return new DoorwardError({
    code: gone ? "PODMAN_UNREACHABLE" : "PODMAN_FAILED",
    message: `Cannot call Podman ("${method} ${path}"): ${message.trim().replace(/^\(HTTP code \d+\) /, "")}`,
    details: { status: statusCode ?? null },
    cause: error,
  });
}
