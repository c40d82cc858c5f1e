import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import type { Problem } from "@doorward/contracts";
import { WebSocket, type ClientOptions } from "ws";
import type { Bench } from "./gateway-harness.ts";

/** A JSON answer as tests look at it: mostly a problem document, sometimes something else. */
export type AnswerJson = Problem & Readonly<Record<string, unknown>>;

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: AnswerJson;
}

/** What is asked. */
export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly token?: string;
  /** Host header; `null` sends none. */
  readonly host?: string;
}

/** One HTTP request over TCP, or over the Unix socket where `socketPath` is given. */
export function ask(where: { port: number } | { socketPath: string }, given: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...("port" in where ? { host: "127.0.0.1", port: where.port } : where),
        method: given.method ?? "GET",
        path: given.path,
        agent: false,
        headers: {
          ...(given.host === undefined ? {} : { host: given.host }),
          ...(given.body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(given.body) }),
          ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }),
          ...given.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          let json: unknown;
          try {
            json = JSON.parse(text) as unknown;
          } catch {
            json = undefined;
          }
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: json as AnswerJson,
          });
        });
      },
    );
    request.on("error", reject);
    request.end(given.body);
  });
}

/** Sends raw bytes to a TCP port and answers all that comes back until the peer closes. */
export async function raw(port: number, bytes: string | Buffer, waitMs = 120_000): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let got = "";
  socket.on("data", (chunk) => (got += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(bytes);
  const timer = setTimeout(() => socket.destroy(), waitMs);
  await once(socket, "close");
  clearTimeout(timer);
  return got;
}

/** An upgrade that was refused with an HTTP answer. */
export class Refused extends Error {
  readonly status: number;
  readonly json: AnswerJson;
  readonly headers: IncomingHttpHeaders;

  constructor(status: number, json: AnswerJson, headers: IncomingHttpHeaders) {
    super(`refused with ${String(status)} ${json.code}`);
    this.status = status;
    this.json = json;
    this.headers = headers;
  }
}

/** Opens a door socket; rejects with the HTTP refusal. */
export function dialDoor(
  bench: Pick<Bench, "port" | "socket">,
  given: {
    machine?: string;
    segment?: string;
    token?: string;
    protocols?: string[];
    unix?: boolean;
    options?: ClientOptions;
    path?: string;
  } = {},
): Promise<WebSocket> {
  const segment = given.segment ?? "terminal";
  const path = given.path ?? `/v1/machines/${given.machine ?? "alpha"}/doors/${segment}`;
  const url = given.unix === true ? `ws+unix:${bench.socket}:${path}` : `ws://127.0.0.1:${bench.port}${path}`;
  const socket = new WebSocket(url, given.protocols ?? [`doorward.${segment}.v1`], {
    ...given.options,
    headers: {
      ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }),
      ...given.options?.headers,
    },
  });
  return new Promise((resolve, reject) => {
    socket.once("open", () => resolve(socket));
    socket.once("error", reject);
    socket.once("unexpected-response", (_request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        socket.terminate();
        const json = JSON.parse(Buffer.concat(chunks).toString() || "null") as AnswerJson;
        reject(new Refused(response.statusCode ?? 0, json, response.headers));
      });
    });
  });
}

/** How dialling a door was refused. */
export async function refusal(dialled: Promise<WebSocket>): Promise<Refused> {
  try {
    (await dialled).terminate();
  } catch (thrown) {
    return thrown as Refused;
  }
  throw new Error("the door opened");
}

/** Next message of a socket as text. */
export async function nextText(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, "message")) as [Buffer];
  return data.toString();
}

/** Close code and reason of a socket. */
export async function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return { code, reason: reason.toString() };
}

/** Waits until something holds, for two minutes at most. */
export async function eventually(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 12_000; tries += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`not within two minutes: ${what}`);
}
