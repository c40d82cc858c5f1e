import type { ServerResponse } from "node:http";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import type { WaitingBytes } from "../../door.ts";
import { stallMs } from "./web-answer.ts";

/**
 * The answer to one posted request: a plain document, or a stream of events where something is told before its end
 * (Streamable HTTP: the server chooses). A reader that takes nothing is cut off.
 */
export class PostAnswer {
  readonly #response: ServerResponse;
  readonly #bytes: WaitingBytes;

  constructor(response: ServerResponse, bytes: WaitingBytes) {
    this.#response = response;
    this.#bytes = bytes;
  }

  /** Tells something before the end; to a reader that is behind, nothing. */
  tell(message: JSONRPCMessage): void {
    this.#event(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  /** Keeps the connection of a client alive that waits. */
  beat(): void {
    this.#event(": still running\n\n");
  }

  /** Writes the answer itself, as JSON. */
  end(json: string): void {
    const response = this.#response;
    if (response.writableEnded) return;
    const streamed = response.headersSent;
    const bytes = Buffer.from(streamed ? `event: message\ndata: ${json}\n\n` : json);
    const counted = this.#bytes.take(bytes.length);
    if (counted) response.once("close", () => this.#bytes.give(bytes.length));
    response.setTimeout(stallMs(counted), () => response.destroy());
    if (!streamed)
      response.writeHead(200, { "content-type": "application/json", "content-length": bytes.length });
    response.end(bytes);
  }

  #event(text: string): void {
    const response = this.#response;
    if (response.writableEnded || response.writableNeedDrain) return;
    if (!response.headersSent)
      response.writeHead(200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
    response.write(text);
  }
}
