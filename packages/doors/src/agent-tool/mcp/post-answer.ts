import type { ServerResponse } from "node:http";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";

const STALL_MS = 60_000;

/**
 * The answer to one posted request: a plain document, or a stream of events where something is told before its end
 * (Streamable HTTP: the server chooses). A reader that takes nothing for a minute is cut off.
 */
export class PostAnswer {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
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
    response.setTimeout(STALL_MS, () => response.destroy());
    if (response.headersSent) {
      response.end(`event: message\ndata: ${json}\n\n`);
      return;
    }
    const bytes = Buffer.from(json);
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
