import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { errorFromClose } from "./problem.ts";
import type { Transport, WireSocket } from "./transport.ts";

/** Subprotocol of MCP over a WebSocket. */
const MCP_PROTOCOL = "mcp";
/** Largest message that is taken, in bytes. */
const MAX_MESSAGE_BYTES = 16_777_216;
/** Bytes of messages that wait for their reader before the bridge is held back. */
const HIGH_WATER_BYTES = 1_048_576;
/** How long closing waits for the other side. */
const CLOSE_MS = 1000;

/** How to connect for MCP. */
export interface McpOptions {
  /** Ends the connection. */
  readonly signal?: AbortSignal | undefined;
  /** What this client is for another program, e.g. `stdio` for one that speaks MCP on its own streams; it is recorded. */
  readonly clientKind?: string;
}

/**
 * MCP with a machine's agent-tool door: JSON-RPC messages as text, each one whole. It reads none of them, so every
 * revision of MCP passes; who speaks one says `initialize`, or nothing, as that revision has it.
 */
export class McpConnection implements AsyncDisposable {
  readonly #waiting: string[] = [];
  readonly #signal: AbortSignal | undefined;
  #waitingBytes = 0;
  #socket: WireSocket | undefined;
  #ended: DoorwardError | undefined;
  #wake: () => void = () => undefined;
  #left: () => void = () => undefined;
  readonly #gone = new Promise<void>((resolve) => (this.#left = resolve));

  private constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Connects; rejects with the bridge's refusal. */
  static async open(transport: Transport, machine: string, options: McpOptions): Promise<McpConnection> {
    const { signal, clientKind } = options;
    const connection = new McpConnection(signal);
    const path = `/v1/machines/${encodeURIComponent(machine)}/doors/agent-tool/mcp`;
    const headers = clientKind === undefined ? {} : { "x-doorward-client": clientKind };
    const settings = { signal, headers, maxMessageBytes: MAX_MESSAGE_BYTES };
    connection.#socket = await transport.open(path, MCP_PROTOCOL, connection.#listener(), settings);
    signal?.addEventListener("abort", connection.#abort, { once: true });
    if (signal?.aborted === true) connection.#abort();
    return connection;
  }

  /** Whether it is over. */
  get closed(): boolean {
    return this.#ended !== undefined;
  }

  /** Sends one message; resolves once the network took it, and at once when the connection is over. */
  send(message: string): Promise<void> {
    const socket = this.#socket;
    if (this.#ended !== undefined || socket === undefined) return Promise.resolve();
    return new Promise((resolve) => socket.send(message, resolve));
  }

  /**
   * Messages of the other side, for one reader, which holds the bridge back when it is slow. It never just ends: it
   * throws what the connection ended with, ABORTED when this side closed it.
   */
  async *messages(): AsyncGenerator<string, never> {
    for (;;) {
      const message = this.#waiting.shift();
      if (message !== undefined) {
        this.#take(message);
        yield message;
      } else if (this.#ended !== undefined) throw this.#ended;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Closes the connection, and waits until the other side has done so too, a second at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended !== undefined) return;
    this.#end(new DoorwardError({ code: "ABORTED", message: "The connection was closed by its client" }));
    this.#socket?.close(1000, "");
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
    await Promise.race([this.#gone, late]);
    clearTimeout(timer);
  }

  #listener(): {
    text(message: string): void;
    binary(): void;
    closed(code: number, reason: string): void;
  } {
    return {
      text: (message) => {
        if (this.#ended === undefined) this.#push(message);
      },
      binary: () => this.#fail("a binary message, which MCP does not have"),
      closed: (code, reason) => {
        this.#end(errorFromClose("the agent-tool door", code, reason));
        this.#left();
      },
    };
  }

  #push(message: string): void {
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    if (this.#waitingBytes > HIGH_WATER_BYTES) this.#socket?.pause();
    this.#wake();
  }

  #take(message: string): void {
    this.#waitingBytes -= message.length;
    if (this.#waitingBytes <= HIGH_WATER_BYTES) this.#socket?.resume();
  }

  #fail(what: string): void {
    const message = `Cannot read a message of the agent-tool door: ${what}`;
    this.#end(new DoorwardError({ code: "PROTOCOL_ERROR", message }));
    this.#socket?.terminate();
  }

  readonly #abort = (): void => {
    this.#end(toDoorwardError(this.#signal?.reason));
    this.#socket?.terminate();
  };

  #end(error: DoorwardError): void {
    this.#ended ??= error;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#wake();
  }
}
