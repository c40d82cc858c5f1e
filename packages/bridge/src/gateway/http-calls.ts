import type { IncomingMessage, ServerResponse } from "node:http";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { readJsonBody } from "@doorward/doors";
import type { Logger } from "pino";
import { guardAccess, machineFor } from "./access.ts";
import type { Authentication } from "./authentication.ts";
import type { GatewayLimits } from "./config.ts";
import { newCorrelationId } from "./correlation.ts";
import type { Denials } from "./denials.ts";
import { NdjsonAnswer } from "./ndjson.ts";
import type { Caller, Handlers, ListenerKind, MachinesPort, ReportProgress } from "./ports.ts";
import { publicError } from "./problem.ts";
import { guardRequest, type RequestRules } from "./request-guard.ts";
import { asksForMetadata, metadataOf } from "./resource-metadata.ts";
import { sendJson, sendProblem } from "./respond.ts";
import { checkEvent, checkInput, checkResult, type CheckedInput } from "./route-input.ts";
import { isPublic, matchRoute, type RouteMatch } from "./route-table.ts";

/** What serving the control API takes. */
export interface HttpCallsOptions {
  readonly handlers: Handlers;
  readonly authentication: Authentication;
  readonly machines: MachinesPort;
  readonly denials: Denials;
  readonly limits: GatewayLimits;
  readonly log: Logger;
}

/** One request on its way through the gateway; filled in as more becomes known of it. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly listener: ListenerKind;
  readonly correlationId: string;
  readonly answer: NdjsonAnswer;
  readonly signal: AbortSignal;
  caller: Caller;
  match: RouteMatch | undefined;
}

type ErasedHandler = (
  call: CheckedInput & {
    readonly caller: Caller;
    readonly correlationId: string;
    readonly progress: ReportProgress;
    readonly tell: (event: unknown) => boolean;
    readonly signal: AbortSignal;
  },
) => Promise<unknown>;

/** Serves the routes of the control API: guards, authenticates, checks input and output, answers. */
export class HttpCalls {
  readonly #options: HttpCallsOptions;
  readonly #running = new Map<Promise<void>, AbortController>();
  #stopping = false;

  constructor(options: HttpCallsOptions) {
    this.#options = options;
  }

  /** Serves one request; never throws. */
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    listener: ListenerKind,
    rules: RequestRules,
  ): void {
    const controller = new AbortController();
    response.once("close", () => {
      controller.abort(new DoorwardError({ code: "ABORTED", message: "The caller went away" }));
    });
    const correlationId = newCorrelationId();
    const exchange: Exchange = {
      request,
      response,
      listener,
      correlationId,
      answer: new NdjsonAnswer(response, correlationId),
      signal: controller.signal,
      caller: { kind: "anonymous" },
      match: undefined,
    };
    this.#logWhenDone(exchange);
    const served = this.#serve(exchange, rules);
    this.#running.set(served, controller);
    void served.finally(() => this.#running.delete(served));
  }

  /** Refuses what comes, lets what runs finish until the deadline, then aborts it. */
  async drain(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const running = [...this.#running];
    const done = Promise.all(running.map(([served]) => served));
    const timer = setTimeout(() => {
      for (const [, controller] of running) controller.abort(stopping());
    }, deadlineMs);
    const limit = new Promise((resolve) => setTimeout(resolve, deadlineMs + 500).unref());
    await Promise.race([done, limit]);
    clearTimeout(timer);
  }

  async #serve(exchange: Exchange, rules: RequestRules): Promise<void> {
    try {
      if (this.#stopping) throw stopping();
      guardRequest(exchange.request, rules);
      await this.#call(exchange);
    } catch (thrown) {
      await this.#fail(exchange, toDoorwardError(thrown));
    }
  }

  async #call(exchange: Exchange): Promise<void> {
    const { request, listener, signal } = exchange;
    const { authentication, limits, machines } = this.#options;
    const [path, search] = splitUrl(request.url ?? "");
    if (asksForMetadata(path)) {
      this.#metadata(exchange);
      return;
    }
    if (!isPublic(path)) exchange.caller = authentication.callerOf(request, listener);
    authentication.admit(exchange.caller, listener);
    const match = matchRoute(request.method ?? "", path);
    exchange.match = match;
    guardAccess(match.route.access, exchange.caller);
    const machine = match.params["machine"];
    if (machine !== undefined && exchange.caller.kind === "grant")
      machineFor(exchange.caller, machine, machines);
    const bodyBytes = match.route.bodyBytes ?? limits.bodyBytes;
    const body = await readJsonBody(request, { ...limits, bodyBytes }, signal);
    const input = checkInput(match.route, { params: match.params, search, body });
    await this.#answer(exchange, match, input);
  }

  #metadata({ request, response, caller, listener, correlationId }: Exchange): void {
    this.#options.authentication.admit(caller, listener);
    if (request.method !== "GET")
      throw new DoorwardError({
        code: "METHOD_NOT_ALLOWED",
        message: "Cannot serve the metadata: it takes GET",
        details: { allow: "GET" },
      });
    sendJson(response, 200, metadataOf(request), correlationId);
  }

  async #answer(exchange: Exchange, match: RouteMatch, input: CheckedInput): Promise<void> {
    const { request, response, caller, correlationId, answer, signal } = exchange;
    const streams = match.route.answer === "ndjson" && request.headers.accept !== "application/json";
    const handler: unknown = this.#options.handlers[match.id];
    if (!isHandler(handler))
      throw new DoorwardError({ code: "INTERNAL", message: `No handler for ${match.id}` });
    const progress: ReportProgress = streams ? answer.progress : () => undefined;
    const tell = (event: unknown): boolean => streams && answer.event(checkEvent(match.route, event));
    const result = checkResult(
      match.route,
      await handler({ ...input, caller, correlationId, progress, tell, signal }),
    );
    if (signal.aborted && response.destroyed) return;
    if (streams) answer.result(result);
    else sendJson(response, statusOf(match, result), result, correlationId);
  }

  async #fail(exchange: Exchange, error: DoorwardError): Promise<void> {
    const { request, response, correlationId, answer, caller, match } = exchange;
    const { denials, log } = this.#options;
    if (error.code === "INTERNAL")
      log.error({ err: error, correlationId, route: match?.id }, "request failed");
    const machine = match?.params["machine"];
    await denials.note(error, {
      caller,
      attempted: match?.id ?? "request",
      machine: machine === undefined ? null : (this.#options.machines.find(machine) ?? null),
      target: machine,
      correlationId,
    });
    if (response.destroyed || response.writableEnded) return;
    if (answer.begun) answer.error(publicError(error));
    else sendProblem(request, response, publicError(error), correlationId);
  }

  #logWhenDone(exchange: Exchange): void {
    const began = performance.now();
    exchange.response.once("close", () => {
      const { caller, match, response, listener, correlationId, request } = exchange;
      this.#options.log[match?.route.access === "public" ? "debug" : "info"](
        {
          route: match?.id ?? null,
          method: request.method,
          status: response.statusCode,
          finished: response.writableFinished,
          ms: Math.round(performance.now() - began),
          listener,
          subject: caller.kind === "anonymous" ? null : caller.subject,
          grant: caller.kind === "grant" ? caller.grant.grantId : null,
          correlationId,
        },
        "request",
      );
    });
  }
}

/** Path and query of a request's target. */
export function splitUrl(url: string): readonly [string, string] {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}

function isHandler(value: unknown): value is ErasedHandler {
  return typeof value === "function";
}

function statusOf(match: RouteMatch, result: unknown): number {
  const notReady =
    match.id === "bridge.ready" &&
    typeof result === "object" &&
    result !== null &&
    "ready" in result &&
    result.ready === false;
  return notReady ? 503 : 200;
}

function stopping(): DoorwardError {
  return new DoorwardError({
    code: "BRIDGE_STOPPING",
    message: "Cannot serve the request: the bridge is shutting down",
  });
}
