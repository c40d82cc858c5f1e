import type { ServerResponse } from "node:http";
import { DoorwardError } from "@doorward/contracts";
import type { ClientInfo } from "../agent-session.ts";
import type { RpcError } from "./rpc-errors.ts";
import { clientInfoOf, field } from "./served-client.ts";

/** One message that was posted, while it is served. */
export class Exchange {
  readonly body: unknown;
  readonly response: ServerResponse;
  readonly method: unknown;
  readonly id: unknown;
  client: ClientInfo | null;
  /** Id of the client's session; empty for one without, null in revisions without sessions. */
  sessionId: string | null = null;
  /** What was thrown where a server was to be made; a fault of ours, which the SDK would only answer. */
  fault: unknown;
  readonly #controller = new AbortController();

  constructor(body: unknown, response: ServerResponse) {
    this.body = body;
    this.response = response;
    this.method = field(body, "method");
    this.id = field(body, "id");
    this.client = clientInfoOf(body);
  }

  /** Aborts when the client cancels it. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Cancels the call; it gets no answer, so its stream just ends. */
  cancel(): void {
    this.#controller.abort(new DoorwardError({ code: "ABORTED", message: "The client cancelled the call" }));
    if (!this.response.headersSent) this.response.writeHead(202);
    this.response.end();
  }

  /** Ends an answer that has begun with a last message. */
  endWith(message: RpcError): void {
    if (!this.response.headersSent || this.response.writableEnded) return;
    this.response.end(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }
}
