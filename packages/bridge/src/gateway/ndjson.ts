import type { ServerResponse } from "node:http";
import type { DoorwardError } from "@doorward/contracts";
import type { ReportProgress } from "./ports.ts";
import { problemOf } from "./problem.ts";
import { COMMON_HEADERS } from "./respond.ts";

const bufferLimit = 1_048_576;

/** An answer of `progress` and `event` lines that ends with one `result` or `error` line; it begins with the first line. */
export class NdjsonAnswer {
  readonly #response: ServerResponse;
  readonly #correlationId: string;
  readonly #began = performance.now();

  constructor(response: ServerResponse, correlationId: string) {
    this.#response = response;
    this.#correlationId = correlationId;
  }

  /** Whether a line was sent, so that errors must be lines too. */
  get begun(): boolean {
    return this.#response.headersSent;
  }

  /** Sends a progress line; dropped when the client does not read. */
  readonly progress: ReportProgress = ({ step, detail }) => {
    if (this.#response.writableEnded || this.#response.writableLength > bufferLimit) return;
    this.#write({
      type: "progress",
      step: step.slice(0, 200),
      ...(detail === undefined ? {} : { detail: detail.slice(0, 2000) }),
      elapsedMs: Math.round(performance.now() - this.#began),
    });
  };

  /** Sends an event line; false when the client reads too slowly and it was dropped. */
  event(event: unknown): boolean {
    if (this.#response.writableEnded || this.#response.writableLength > bufferLimit) return false;
    this.#write({ type: "event", event });
    return true;
  }

  /** Ends the answer with the route's result. */
  result(result: unknown): void {
    this.#write({ type: "result", result });
    this.#response.end();
  }

  /** Ends the answer with a problem. */
  error(error: DoorwardError): void {
    this.#write({ type: "error", error: problemOf(error, this.#correlationId) });
    this.#response.end();
  }

  #write(line: unknown): void {
    if (!this.#response.headersSent) {
      this.#response.writeHead(200, {
        ...COMMON_HEADERS,
        "content-type": "application/x-ndjson",
        "x-correlation-id": this.#correlationId,
      });
    }
    this.#response.write(`${JSON.stringify(line)}\n`);
  }
}
