import type { Duplex } from "node:stream";
import {
  DoorwardError,
  ProgressLine,
  type ExitStatus,
  type RouteEvent,
  type RouteId,
  type RouteResult,
} from "@doorward/contracts";
import { loadRoute } from "@doorward/contracts/routes";
import type { ExecOptions, ExecSession } from "./exec-session.ts";
import type { McpConnection, McpOptions } from "./mcp-connection.ts";
import { parseJson, readLines, readText } from "./ndjson.ts";
import { errorFromProblem } from "./problem.ts";
import { assertEvent, assertResult, routeRequest, type CallInput } from "./route-request.ts";
import type { TerminalOptions } from "./terminal-options.ts";
import type { TerminalSession } from "./terminal-session.ts";
import type { Transport, TransportResponse } from "./transport.ts";

// Once: where modules are loaded through a hook, as tests and tools do, each `import()` asks another thread.
const terminals = once(() => import("./terminal-session.ts"));
const commands = once(() => import("./exec-session.ts"));
const ports = once(() => import("./forward-connection.ts"));
const tools = once(() => import("./mcp-connection.ts"));

/** Options of one call. */
export interface CallOptions<Event = unknown> {
  readonly signal?: AbortSignal | undefined;
  /** Told about each step of long work (`ndjson` routes only). */
  readonly onProgress?: ((line: ProgressLine) => void) | undefined;
  /** Told about each event of a route that is watched. */
  readonly onEvent?: ((event: Event) => void) | undefined;
}

/**
 * Speaks with one bridge: the control API, terminals and commands. What only some of it needs is loaded when it is
 * called: a command that asks one question starts in half the time.
 */
export class DoorwardClient implements AsyncDisposable {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Where the bridge is expected: a socket's path or a URL. */
  get address(): string {
    return this.#transport.address;
  }

  /** Calls a route of the control API; refusals and faults reject with a {@link DoorwardError}. */
  async call<Id extends RouteId>(
    id: Id,
    input: CallInput<Id>,
    options: CallOptions<RouteEvent<Id>> = {},
  ): Promise<RouteResult<Id>> {
    const route = await loadRoute(id);
    const request = { ...routeRequest(id, route, input), signal: options.signal };
    const response = await this.#transport.request(request);
    const { onProgress, onEvent } = options;
    const tell = (event: unknown): void => {
      assertEvent(id, route, event);
      onEvent?.(event);
    };
    const result = await readAnswer(response, route.answer === "ndjson" ? onProgress : undefined, tell);
    assertResult(id, route, result);
    return result;
  }

  /** Opens a new terminal of a machine, or attaches to one; resolves once its output follows. */
  async attachTerminal(machine: string, options: TerminalOptions): Promise<TerminalSession> {
    const { TerminalSession } = await terminals();
    return TerminalSession.open(this.#transport, machine, options);
  }

  /** Starts a command in a machine; resolves once it runs. */
  async startExec(machine: string, argv: readonly string[], options: ExecOptions = {}): Promise<ExecSession> {
    const { ExecSession } = await commands();
    return ExecSession.open(this.#transport, machine, argv, options);
  }

  /** Runs a command in a machine to its end. */
  async exec(machine: string, argv: readonly string[], options: ExecOptions = {}): Promise<ExitStatus> {
    const session = await this.startExec(machine, argv, options);
    return session.done;
  }

  /** Connects to a port of a machine's own loopback; resolves to the connection once a program there accepted it. */
  async forward(machine: string, port: number, signal?: AbortSignal): Promise<Duplex> {
    const { openForward } = await ports();
    return openForward(this.#transport, machine, port, signal);
  }

  /** Connects to a machine's agent-tool door for MCP, one JSON-RPC message at a time. */
  async openMcp(machine: string, options: McpOptions = {}): Promise<McpConnection> {
    const { McpConnection } = await tools();
    return McpConnection.open(this.#transport, machine, options);
  }

  /** Closes idle connections; open sessions are not touched. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#transport.close();
    return Promise.resolve();
  }
}

function once<Loaded>(load: () => Promise<Loaded>): () => Promise<Loaded> {
  let loaded: Promise<Loaded> | undefined;
  return () => (loaded ??= load());
}

async function readAnswer(
  response: TransportResponse,
  onProgress: ((line: ProgressLine) => void) | undefined,
  tell: (event: unknown) => void,
): Promise<unknown> {
  if (response.contentType.startsWith("application/x-ndjson")) return readStream(response, onProgress, tell);
  const text = await readText(response.body);
  if (response.status < 300) return parseJson(text);
  throw errorFromProblem(safeJson(text), response.status);
}

async function readStream(
  response: TransportResponse,
  onProgress: ((line: ProgressLine) => void) | undefined,
  tell: (event: unknown) => void,
): Promise<unknown> {
  for await (const line of readLines(response.body)) {
    const message = parseJson(line);
    const progress = ProgressLine.safeParse(message);
    if (progress.success) onProgress?.(progress.data);
    else if (isEvent(message)) tell(message.event);
    else return lastLine(message);
  }
  throw new DoorwardError({
    code: "BRIDGE_UNREACHABLE",
    message: "Cannot read the bridge's answer: it ended before its result",
    hint: "doorward bridge status",
  });
}

function isEvent(message: unknown): message is { readonly event: unknown } {
  return (
    typeof message === "object" &&
    message !== null &&
    "type" in message &&
    message.type === "event" &&
    "event" in message
  );
}

function lastLine(message: unknown): unknown {
  if (typeof message === "object" && message !== null) {
    if ("result" in message) return message.result;
    const problem = "problem" in message ? message.problem : "error" in message ? message.error : undefined;
    if (problem !== undefined) throw errorFromProblem(problem, statusOf(problem));
  }
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: "Cannot read the bridge's answer: a line is neither progress, result nor error",
  });
}

function statusOf(problem: unknown): number {
  const status =
    typeof problem === "object" && problem !== null && "status" in problem ? problem.status : 500;
  return typeof status === "number" ? status : 500;
}

function safeJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
