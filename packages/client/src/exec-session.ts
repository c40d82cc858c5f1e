import {
  DoorwardError,
  EXEC_PROTOCOL,
  ExecServerMessage,
  WIRE_KIND,
  decodeBytes,
  encodeBytes,
  isErrorCode,
  toDoorwardError,
  type ExecClientMessage,
  type ExecSignal,
  type ExitStatus,
  type WireNotice,
} from "@doorward/contracts";
import { defined } from "./defined.ts";
import { Handshake } from "./handshake.ts";
import { parseJson } from "./ndjson.ts";
import { OutputQueue, type OutputSink } from "./output-queue.ts";
import { errorFromClose } from "./problem.ts";
import { firstIssue } from "./route-request.ts";
import { StdinPump } from "./stdin-pump.ts";
import type { Transport, WireSocket } from "./transport.ts";

/** How to run a command. */
export interface ExecOptions {
  /** Bytes for its stdin; empty when absent. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
  /** Takes its stdout; a returned promise holds the command back once the window is full. */
  readonly stdout?: OutputSink | undefined;
  readonly stderr?: OutputSink | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly notice?: ((notice: WireNotice) => void) | undefined;
  /** Un-acknowledged output to hold, in bytes. */
  readonly window?: number | undefined;
  /** Ends the connection, and with it the command. */
  readonly signal?: AbortSignal | undefined;
}

interface Started {
  readonly session: string;
  readonly stdinWindow: number;
  readonly window: number;
}

const discard: OutputSink = () => undefined;

/** One running command of a machine. */
export class ExecSession implements AsyncDisposable {
  /** How it ended, after all of its output was handed on; rejects when Doorward, not the command, failed. */
  readonly done: Promise<ExitStatus>;
  readonly #options: ExecOptions;
  readonly #queue: OutputQueue;
  readonly #started = new Handshake<Started>();
  readonly #pump: StdinPump;
  readonly #over = new AbortController();
  #socket: WireSocket | undefined;
  #settle: (end: ExitStatus | DoorwardError) => void = () => undefined;
  #error: DoorwardError | undefined;
  #ended = false;
  #window = 0;
  #consumed = 0;
  #acknowledged = 0;

  private constructor(options: ExecOptions) {
    this.#options = options;
    this.#queue = new OutputQueue(
      (bytes) => this.#acknowledge(bytes),
      (cause) => this.#fail(toDoorwardError(cause)),
    );
    this.#pump = new StdinPump((bytes) => this.#socket?.send(encodeBytes(WIRE_KIND.stdin, bytes)));
    const ended = new Promise<ExitStatus | DoorwardError>((resolve) => (this.#settle = resolve));
    this.done = ended.then(async (end) => {
      await this.#queue.drained();
      if (end instanceof DoorwardError) throw end;
      return end;
    });
    this.done.catch(() => undefined);
  }

  /** Starts a command; rejects when it can't be started. */
  static async open(
    transport: Transport,
    machine: string,
    argv: readonly string[],
    options: ExecOptions,
  ): Promise<ExecSession> {
    const session = new ExecSession(options);
    const path = `/v1/machines/${encodeURIComponent(machine)}/doors/exec`;
    const { signal } = options;
    const socket = await transport.open(path, EXEC_PROTOCOL, session.#listener(), { signal });
    session.#socket = socket;
    const over = session.#over.signal;
    signal?.addEventListener("abort", () => session.#abort(), { once: true, signal: over });
    if (signal?.aborted === true) session.#abort();
    session.#hello(argv);
    await session.#started.answer;
    session.#feed();
    return session;
  }

  /** Sends a signal to the command's process group. */
  kill(signal: ExecSignal): void {
    this.#send({ type: "signal", signal });
  }

  /** Ends the connection, and with it the command if it still runs. */
  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#abort();
    return Promise.resolve();
  }

  #hello(argv: readonly string[]): void {
    const { stdin, cwd, env, window } = this.#options;
    const optional = defined({ cwd, env: env && { ...env }, window });
    this.#send({ type: "exec", argv: [...argv], stdin: stdin !== undefined, ...optional });
  }

  #listener(): {
    text(message: string): void;
    binary(message: Uint8Array): void;
    closed(code: number, reason: string): void;
  } {
    return {
      text: (message) => this.#guard(() => this.#message(parseServerMessage(message))),
      binary: (message) => this.#guard(() => this.#output(message)),
      closed: (code, reason) => this.#fail(this.#error ?? errorFromClose("command", code, reason)),
    };
  }

  #message(message: ExecServerMessage): void {
    if (message.type === "started") {
      this.#window = message.window;
      this.#pump.credit(message.stdinWindow);
      this.#started.accept(message);
    } else if (message.type === "stdin-credit") this.#pump.credit(message.bytes);
    else if (message.type === "exit") this.#finish({ code: message.code, signal: message.signal });
    else if (message.type === "notice") this.#options.notice?.(message);
    else this.#serverError(message);
  }

  #serverError(wire: Extract<ExecServerMessage, { readonly type: "error" }>): void {
    const code = isErrorCode(wire.code) ? wire.code : "INTERNAL";
    const error = new DoorwardError({ code, message: wire.message, hint: wire.hint });
    if (wire.fatal) this.#error = error;
    else this.#options.notice?.({ type: "notice", notice: "message", message: wire.message });
  }

  #output(message: Uint8Array): void {
    const { kind, bytes } = decodeBytes(message, [WIRE_KIND.stdout, WIRE_KIND.stderr]);
    const sink = kind === WIRE_KIND.stdout ? this.#options.stdout : this.#options.stderr;
    this.#queue.push(sink ?? discard, bytes);
  }

  #acknowledge(bytes: number): void {
    this.#consumed += bytes;
    if (this.#ended || this.#consumed - this.#acknowledged < this.#window / 4) return;
    this.#acknowledged = this.#consumed;
    this.#send({ type: "ack", bytes: this.#consumed });
  }

  #feed(): void {
    if (this.#options.stdin === undefined) return;
    this.#pump.run(this.#options.stdin).then(
      () => this.#send({ type: "stdin-end" }),
      (cause: unknown) => this.#fail(toDoorwardError(cause)),
    );
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (cause) {
      this.#fail(toDoorwardError(cause));
    }
  }

  #send(message: ExecClientMessage): void {
    if (!this.#ended) this.#socket?.send(JSON.stringify(message));
  }

  #abort(): void {
    this.#fail(
      new DoorwardError({ code: "ABORTED", message: "The command was stopped with its connection" }),
    );
  }

  #fail(error: DoorwardError): void {
    this.#started.refuse(error);
    this.#finish(error);
  }

  #finish(end: ExitStatus | DoorwardError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#over.abort();
    this.#pump.stop();
    this.#socket?.close(1000, "");
    this.#settle(end);
  }
}

function parseServerMessage(text: string): ExecServerMessage {
  const parsed = ExecServerMessage.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot read a message of the exec door: ${firstIssue(parsed.error)}`,
  });
}
