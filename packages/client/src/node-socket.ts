import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { DoorwardError, MAX_WIRE_MESSAGE_BYTES } from "@doorward/contracts";
import type { RawData, WebSocket } from "ws";
import { parseJson, readText } from "./ndjson.ts";
import { errorFromProblem } from "./problem.ts";
import type { WireSocket, WireSocketListener } from "./transport.ts";

interface SocketOptions {
  readonly url: string;
  readonly protocol: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Makes the connection; TCP to the URL's host when absent. */
  readonly dial: (() => Duplex) | undefined;
  readonly signal: AbortSignal | undefined;
  readonly maxMessageBytes: number | undefined;
}

/** Time for connection and handshake, in milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

let ws: Promise<typeof import("ws")> | undefined;

/** Opens a WebSocket with ws, which is loaded on first use because it costs 25 ms. */
export async function openSocket(
  options: SocketOptions,
  listener: WireSocketListener,
  explain: (cause: unknown) => DoorwardError,
): Promise<WireSocket> {
  const { WebSocket } = await (ws ??= import("ws"));
  if (options.signal?.aborted === true) throw explain(options.signal.reason);
  const socket = new WebSocket(options.url, [options.protocol], {
    headers: options.headers,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: options.maxMessageBytes ?? MAX_WIRE_MESSAGE_BYTES,
    perMessageDeflate: false,
    ...(options.dial === undefined ? {} : { createConnection: options.dial }),
  });
  socket.binaryType = "nodebuffer";
  listen(socket, listener);
  await opened(socket, explain, options.signal);
  return wireSocket(socket);
}

function listen(socket: WebSocket, listener: WireSocketListener): void {
  let established = false;
  socket.once("open", () => (established = true));
  socket.on("message", (data: RawData, binary: boolean) => {
    if (!Buffer.isBuffer(data)) return;
    if (binary) listener.binary(data);
    else listener.text(data.toString("utf8"));
  });
  socket.on("error", () => undefined);
  socket.once("close", (code, reason) => {
    if (established) listener.closed(code, reason.toString("utf8"));
  });
}

function opened(
  socket: WebSocket,
  explain: (cause: unknown) => DoorwardError,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => socket.terminate();
    signal?.addEventListener("abort", stop, { once: true });
    const settle = (act: () => void): void => {
      signal?.removeEventListener("abort", stop);
      act();
    };
    socket.once("open", () => settle(resolve));
    socket.once("error", (cause) => settle(() => reject(explain(cause))));
    socket.once("unexpected-response", (_request, response) => {
      void refusal(response).then((error) => {
        settle(() => reject(error));
        socket.terminate();
      });
    });
  });
}

async function refusal(response: IncomingMessage): Promise<DoorwardError> {
  const status = response.statusCode ?? 0;
  const document = await readText(response)
    .then(parseJson, () => undefined)
    .catch(() => undefined);
  return errorFromProblem(document, status);
}

function wireSocket(socket: WebSocket): WireSocket {
  return {
    send: (message, sent) => {
      if (socket.readyState === socket.OPEN) socket.send(message, () => sent?.());
      else sent?.();
    },
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: (code, reason) => {
      // a paused socket would never see the answer to its close
      socket.resume();
      socket.close(code, reason);
    },
    terminate: () => socket.terminate(),
  };
}
