import { setTimeout as delay } from "node:timers/promises";
import type { McpConnection } from "@doorward/client";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { Access } from "./access.ts";
import { InFlight } from "./in-flight.ts";
import { readJsonLines, type Line } from "./json-lines.ts";
import { readRpc, rpcError, rpcErrorOf, RPC_PARSE_ERROR, type RpcMessage } from "./json-rpc.ts";
import { Signal } from "./signal.ts";

/** What a shim works with. */
export interface ShimParts {
  readonly access: Access;
  readonly input: AsyncIterable<unknown>;
  /** Writes one line to the agent's client; resolves when it took it. */
  readonly write: (line: string) => Promise<void>;
  /** One line for people. */
  readonly note: (text: string) => void;
  /** Aborts when the shim has to end at once. */
  readonly signal: AbortSignal;
  /** How long requests wait for a bridge that restarts, in milliseconds. */
  readonly patienceMs?: number;
  /** How long answers are waited for after the input ended, in milliseconds. */
  readonly lingerMs?: number;
}

/** A line longer than this is never held in memory. */
const MAX_LINE_BYTES = 16_777_216;
/** What the door takes as one message. */
const MAX_MESSAGE_BYTES = 4_194_304;
/** Messages that wait for a connection; beyond it the input is not read. */
const MAX_QUEUED = 256;
const MAX_QUEUED_BYTES = 4_194_304;
const MAX_IN_FLIGHT = 1024;
const PATIENCE_MS = 30_000;
const LINGER_MS = 30_000;
const STEADY_MS = 5000;

interface Queued {
  readonly text: string;
  readonly messages: readonly RpcMessage[];
}

/**
 * Passes MCP between an agent's client on lines and a machine's door on a WebSocket. Connections come and go; each
 * request of the client is answered, by the door or with an error that says what happened.
 */
export class McpShim {
  readonly #parts: ShimParts;
  readonly #flight = new InFlight();
  readonly #queue: Queued[] = [];
  readonly #changed = new Signal();
  readonly #stop = new AbortController();
  #queuedBytes = 0;
  #connection: McpConnection | undefined;
  /** Keeps a session connected that lost its bridge, so that what the door tells reaches the client. */
  #wanted = true;
  #final: DoorwardError | undefined;
  #last: DoorwardError | undefined;
  /** Connections in a row that ended soon after they were made. */
  #unsteady = 0;

  constructor(parts: ShimParts) {
    this.#parts = parts;
    parts.signal.addEventListener("abort", () => this.#stop.abort(), { once: true });
    if (parts.signal.aborted) this.#stop.abort();
    this.#stop.signal.addEventListener("abort", () => this.#changed.notify(), { once: true });
  }

  /** Runs until the client ends it; resolves with the error that the session is left with, undefined when it is well. */
  async run(): Promise<DoorwardError | undefined> {
    const link = this.#keepLinked();
    try {
      await this.#readInput();
      await this.#linger();
    } finally {
      // In order, so that the record of the session says that its client left, not that it was lost.
      const left = this.#connection?.[Symbol.asyncDispose]();
      this.#stop.abort();
      await left;
      await link;
    }
    return this.#final ?? this.#last;
  }

  // The client's side.

  async #readInput(): Promise<void> {
    try {
      for await (const line of readJsonLines(this.#parts.input, MAX_LINE_BYTES)) {
        if (this.#stopped()) return;
        await this.#take(line);
      }
    } catch (cause) {
      if (!this.#stopped()) throw cause;
    }
  }

  async #take(line: Line): Promise<void> {
    if (line.kind === "too-long") return this.#refuse(`a line is longer than ${MAX_LINE_BYTES} bytes`);
    if (line.kind === "not-utf8") return this.#refuse("a line is not UTF-8");
    const messages = readRpc(line.text);
    if (messages === undefined) return this.#refuse("a line is not a JSON-RPC 2.0 message");
    const size = Buffer.byteLength(line.text);
    if (size > MAX_MESSAGE_BYTES) return this.#answerAll(messages, tooLarge(size));
    if (this.#final !== undefined) return this.#answerAll(messages, this.#final);
    if (this.#flight.size >= MAX_IN_FLIGHT) return this.#answerAll(messages, tooMany());
    await this.#room();
    await this.#pass({ text: line.text, messages });
  }

  /** At once over an open connection that nothing waits for, else behind what waits. */
  async #pass(queued: Queued): Promise<void> {
    if (this.#connection !== undefined && this.#queue.length === 0) {
      await this.#send(this.#connection, queued);
      return;
    }
    this.#queue.push(queued);
    this.#queuedBytes += queued.text.length;
    this.#changed.notify();
  }

  async #room(): Promise<void> {
    while (this.#queue.length >= MAX_QUEUED || this.#queuedBytes > MAX_QUEUED_BYTES) {
      if (this.#stopped()) return;
      await this.#changed.next();
    }
  }

  async #send(connection: McpConnection, { text, messages }: Queued): Promise<void> {
    const fresh = messages.filter((message) => this.#flight.sent(message, text));
    if (fresh.length > 0) await connection.send(text);
  }

  /** After the input ended, what was asked is still answered: `echo REQUEST | doorward mcp` works. */
  async #linger(): Promise<void> {
    const late = AbortSignal.timeout(this.#parts.lingerMs ?? LINGER_MS);
    late.addEventListener("abort", () => this.#changed.notify(), { once: true });
    while (this.#waits() && !late.aborted && !this.#stopped()) await this.#changed.next();
  }

  #waits(): boolean {
    return this.#queue.length > 0 || this.#flight.size > 0;
  }

  #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #refuse(what: string): Promise<void> {
    await this.#parts.write(rpcError(null, RPC_PARSE_ERROR, `Cannot read a message: ${what}`));
  }

  async #answerAll(messages: readonly RpcMessage[], error: DoorwardError): Promise<void> {
    for (const message of messages) {
      if (message.kind === "request") await this.#parts.write(rpcErrorOf(message.id, error));
    }
  }

  // The door's side.

  async #keepLinked(): Promise<void> {
    const { signal } = this.#stop;
    while (!this.#stopped()) {
      if (this.#final !== undefined || (!this.#wanted && this.#queue.length === 0)) {
        await this.#changed.next();
        continue;
      }
      const connection = await this.#connect(signal).catch((cause: unknown) => toDoorwardError(cause));
      if (!(connection instanceof DoorwardError)) await this.#serve(connection);
      else if (!this.#stopped()) await this.#unreachable(connection);
    }
  }

  /** Connects, waiting for a bridge that restarts. */
  async #connect(signal: AbortSignal): Promise<McpConnection> {
    const end = performance.now() + (this.#parts.patienceMs ?? PATIENCE_MS);
    for (let attempt = this.#unsteady; ; attempt += 1) {
      if (attempt > 0) await delay(backoffMs(attempt), undefined, { signal });
      try {
        return await this.#parts.access.open(signal);
      } catch (cause) {
        const error = toDoorwardError(cause);
        const again = this.#parts.access.judge(error) === "again" && performance.now() < end;
        if (!again || signal.aborted) throw error;
      }
    }
  }

  async #serve(connection: McpConnection): Promise<void> {
    const began = performance.now();
    try {
      await using open = connection;
      await this.#carry(open);
    } catch (cause) {
      // One that ends at once again and again must not be made as fast as that.
      this.#unsteady = performance.now() - began < STEADY_MS ? this.#unsteady + 1 : 0;
      if (!this.#stopped()) await this.#lost(toDoorwardError(cause));
    }
  }

  /** Passes messages until the connection ends, which it throws. */
  async #carry(connection: McpConnection): Promise<never> {
    const messages = connection.messages();
    await this.#reopen(connection, messages);
    this.#last = undefined;
    const flushed = this.#flush(connection);
    try {
      for (;;) await this.#deliver((await messages.next()).value);
    } finally {
      await flushed;
      this.#connection = undefined;
    }
  }

  /** Tells a new connection how the session began; its answer is no news for the client. */
  async #reopen(connection: McpConnection, messages: AsyncGenerator<string, never>): Promise<void> {
    const { opening } = this.#flight;
    if (opening === undefined) return;
    await connection.send(opening.initialize);
    for (;;) {
      const text = (await messages.next()).value;
      const answer = readRpc(text)?.find((one) => one.kind === "answer" && one.id === opening.id);
      if (answer === undefined) await this.#deliver(text);
      else if (answer.kind === "answer" && answer.failed) throw notReopened();
      else break;
    }
    if (opening.initialized !== undefined) await connection.send(opening.initialized);
  }

  async #flush(connection: McpConnection): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (connection.closed) return;
      this.#drop();
      await this.#send(connection, next);
    }
    if (!connection.closed) this.#connection = connection;
  }

  async #deliver(text: string): Promise<void> {
    const messages = readRpc(text);
    if (messages === undefined) return;
    await this.#parts.write(/[\r\n]/.test(text) ? JSON.stringify(JSON.parse(text)) : text);
    for (const message of messages) this.#flight.received(message);
    this.#changed.notify();
  }

  /** The connection ended: what was under way on it is answered. */
  async #lost(error: DoorwardError): Promise<void> {
    for (const id of this.#flight.lost()) await this.#parts.write(rpcErrorOf(id, interrupted(error)));
    this.#wanted = this.#parts.access.judge(error) === "again";
    if (!this.#wanted) await this.#unreachable(error);
    this.#changed.notify();
  }

  /** No connection could be made: what waits for one is answered. */
  async #unreachable(error: DoorwardError): Promise<void> {
    if (this.#parts.access.judge(error) === "over") this.#final = error;
    this.#wanted = false;
    this.#last = error;
    this.#parts.note(error.hint === undefined ? error.message : `${error.message} (${error.hint})`);
    const waiting = this.#queue.length;
    for (let at = 0; at < waiting; at += 1) await this.#answerAll(this.#drop()?.messages ?? [], error);
    this.#changed.notify();
  }

  #drop(): Queued | undefined {
    const dropped = this.#queue.shift();
    this.#queuedBytes -= dropped?.text.length ?? 0;
    this.#changed.notify();
    return dropped;
  }
}

function backoffMs(attempt: number): number {
  return Math.min(1000, 20 * 2 ** attempt);
}

function interrupted({ code, message, hint }: DoorwardError): DoorwardError {
  const what = `${message}; this request was under way, and whether it had its effect is not known`;
  return new DoorwardError({ code, message: what, hint });
}

function notReopened(): DoorwardError {
  const message = "Cannot take up the MCP session again: the door refused its initialize";
  return new DoorwardError({ code: "PROTOCOL_ERROR", message, hint: "Connect the client anew" });
}

function tooLarge(size: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot send a message of ${size} bytes: at most ${MAX_MESSAGE_BYTES} are taken`,
    hint: "Write large files in parts",
  });
}

function tooMany(): DoorwardError {
  const message = `Cannot send another request: ${MAX_IN_FLIGHT} wait for their answers`;
  return new DoorwardError({ code: "RATE_LIMITED", message });
}
