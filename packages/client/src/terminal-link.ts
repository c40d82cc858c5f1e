import {
  DoorwardError,
  TERMINAL_PROTOCOL,
  TerminalServerMessage,
  decodeOutput,
  isErrorCode,
  type OutputChunk,
  type TerminalClientMessage,
} from "@doorward/contracts";
import { parseJson } from "./ndjson.ts";
import { errorFromClose } from "./problem.ts";
import { firstIssue } from "./route-request.ts";
import type { Transport, WireSocket, WireSocketListener } from "./transport.ts";

/** A message of the terminal door, without its errors. */
export type TerminalMessage = Exclude<TerminalServerMessage, { readonly type: "error" }>;

/** What one connection to a terminal tells its session. */
export interface TerminalLinkListener {
  output(chunk: OutputChunk): void;
  message(message: TerminalMessage): void;
  /** The connection ended; `final` when trying again is pointless. */
  lost(error: DoorwardError, final: boolean): void;
}

/** One WebSocket of `doorward.terminal.v1`: messages parsed, errors and close codes made into one error. */
export class TerminalLink {
  readonly #socket: WireSocket;

  private constructor(socket: WireSocket) {
    this.#socket = socket;
  }

  static async open(
    transport: Transport,
    machine: string,
    listener: TerminalLinkListener,
    signal?: AbortSignal,
  ): Promise<TerminalLink> {
    const path = `/v1/machines/${encodeURIComponent(machine)}/doors/terminal`;
    const inbound = new Inbound(listener);
    const socket = await transport.open(path, TERMINAL_PROTOCOL, inbound, { signal });
    inbound.socket = socket;
    return new TerminalLink(socket);
  }

  send(message: TerminalClientMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  sendBytes(message: Uint8Array): void {
    this.#socket.send(message);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  close(): void {
    this.#socket.close(1000, "");
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

class Inbound implements WireSocketListener {
  readonly #listener: TerminalLinkListener;
  #error: DoorwardError | undefined;
  socket: WireSocket | undefined;

  constructor(listener: TerminalLinkListener) {
    this.#listener = listener;
  }

  text(message: string): void {
    this.#guard(() => {
      const parsed = parseServerMessage(message);
      if (parsed.type === "error") {
        const error = errorOf(parsed);
        if (parsed.fatal) this.#error = error;
        else this.#listener.message({ type: "notice", notice: "message", message: error.message });
      } else this.#listener.message(parsed);
    });
  }

  binary(message: Uint8Array): void {
    this.#guard(() => this.#listener.output(decodeOutput(message)));
  }

  closed(code: number, reason: string): void {
    const error = this.#error ?? errorFromClose("terminal", code, reason);
    this.#listener.lost(error, !isPassing(code, error));
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (cause) {
      if (!(cause instanceof DoorwardError)) throw cause;
      this.#error = cause;
      this.socket?.close(4400, "PROTOCOL_ERROR");
    }
  }
}

/** Whether a connection that ended so may be tried again: it broke, or the bridge went away. */
function isPassing(code: number, error: DoorwardError): boolean {
  if (error.code === "BRIDGE_STOPPING" || error.code === "BRIDGE_UNREACHABLE") return true;
  return error.code === "GUEST_UNREACHABLE" || code === 1001 || code === 1006 || code === 1012;
}

function parseServerMessage(text: string): TerminalServerMessage {
  const parsed = TerminalServerMessage.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot read a message of the terminal door: ${firstIssue(parsed.error)}`,
  });
}

function errorOf(wire: Extract<TerminalServerMessage, { readonly type: "error" }>): DoorwardError {
  return new DoorwardError({
    code: isErrorCode(wire.code) ? wire.code : "INTERNAL",
    message: wire.message,
    hint: wire.hint,
  });
}
