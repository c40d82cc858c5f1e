import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCErrorResponse,
  isJSONRPCResultResponse,
  parseJSONRPCMessage,
  type JSONRPCMessage,
  type RequestId,
  type Transport,
} from "@modelcontextprotocol/server";
import type { WebSocket } from "ws";
import type { DoorSession, WaitingBytes } from "../../door.ts";
import { parseJson } from "../../json-body.ts";
import { MCP_MESSAGE_BYTES } from "../endpoints.ts";
import { RPC, refusalOf, rpcError } from "./rpc-errors.ts";
import { clientInfoOf, field } from "./served-client.ts";
import type { ClientInfo } from "../agent-session.ts";

const DEPTH = 64;
const UNREAD_BYTES = 4 * MCP_MESSAGE_BYTES;
/** Requests of one socket that are served at the same time, and their bytes. */
const RUNNING = 128;
const RUNNING_BYTES = 8 * MCP_MESSAGE_BYTES;
/** Messages that are read of one socket in a second; what is more waits at its sender. */
const MESSAGES_PER_SECOND = 2000;

/** MCP over a WebSocket: one JSON-RPC message in each text frame. */
export class SocketTransport implements Transport {
  onmessage?: Transport["onmessage"];
  onclose?: Transport["onclose"];
  onerror?: Transport["onerror"];
  readonly #socket: WebSocket;
  readonly #bytes: WaitingBytes;
  /** Bytes of each request that was not answered yet. */
  readonly #running = new Map<RequestId, number>();
  #runningBytes = 0;
  #window = { since: 0, messages: 0 };
  #client: ClientInfo | null = null;
  #over = false;
  #end: (fault?: DoorwardError) => void = () => undefined;
  /** Resolves when the socket is closed, rejects with what the gateway is to close it with. */
  readonly ended: Promise<void>;

  /** Listens at once, so that nothing is lost before the protocol starts. */
  constructor(socket: WebSocket, { signal, bytes }: Pick<DoorSession, "signal" | "bytes">) {
    this.#socket = socket;
    this.#bytes = bytes;
    this.ended = new Promise((resolve, reject) => {
      this.#end = (fault) => {
        if (this.#over) return;
        this.#over = true;
        bytes.give(this.#runningBytes);
        this.#running.clear();
        this.#runningBytes = 0;
        this.onclose?.();
        if (fault === undefined) resolve();
        else reject(fault);
      };
    });
    socket.on("message", (data, isBinary) => {
      this.#received(data, isBinary);
    });
    socket.once("close", () => {
      this.#end();
    });
    signal.addEventListener("abort", () => this.#end(), { once: true });
    if (signal.aborted) this.#end();
  }

  /** What the client says of itself. */
  get client(): ClientInfo | null {
    return this.#client;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#over) return Promise.resolve();
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) {
      this.#served(message.id);
    }
    this.#write(message);
    return Promise.resolve();
  }

  close(): Promise<void> {
    if (!this.#over && this.#socket.readyState === this.#socket.OPEN) this.#socket.close(1000, "CLOSED");
    this.#end();
    return Promise.resolve();
  }

  #received(data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean): void {
    if (this.#over) return;
    this.#pace();
    if (isBinary) {
      this.#end(protocolError("it takes text messages alone"));
      return;
    }
    const bytes = bufferOf(data);
    const message = this.#parsed(bytes);
    if (message === undefined) return;
    this.#client = clientInfoOf(message) ?? this.#client;
    if (isJSONRPCRequest(message) && !this.#accepts(message.id, bytes.length)) return;
    // What was cancelled gets no answer.
    if (isJSONRPCNotification(message) && message.method === "notifications/cancelled")
      this.#served(field(message.params, "requestId"));
    this.onmessage?.(message);
  }

  /** Holds the socket back for the rest of a second in which it sent its share. */
  #pace(): void {
    const now = performance.now();
    if (now - this.#window.since >= 1000) this.#window = { since: now, messages: 0 };
    this.#window.messages += 1;
    if (this.#window.messages !== MESSAGES_PER_SECOND) return;
    this.#socket.pause();
    setTimeout(() => this.#socket.resume(), 1000 - (now - this.#window.since));
  }

  /** Counts a request until it is answered; false when it was refused. */
  #accepts(id: RequestId, bytes: number): boolean {
    if (this.#running.has(id)) {
      this.#write(rpcError(id, RPC.invalidRequest, "Invalid Request: another request has this id"));
      return false;
    }
    if (this.#running.size >= RUNNING || this.#runningBytes + bytes > RUNNING_BYTES) {
      this.#write(refusalOf(id, tooMany("this connection run")));
      return false;
    }
    if (!this.#bytes.take(bytes)) {
      this.#write(refusalOf(id, tooMany("this grant wait")));
      return false;
    }
    this.#running.set(id, bytes);
    this.#runningBytes += bytes;
    return true;
  }

  #served(id: unknown): void {
    if (typeof id !== "string" && typeof id !== "number") return;
    const bytes = this.#running.get(id) ?? 0;
    this.#runningBytes -= bytes;
    this.#bytes.give(bytes);
    this.#running.delete(id);
  }

  #parsed(bytes: Buffer): JSONRPCMessage | undefined {
    let value: unknown;
    try {
      value = parseJson(bytes, DEPTH);
    } catch (thrown) {
      this.#write(refusalOf(null, toDoorwardError(thrown), RPC.parseError));
      return undefined;
    }
    try {
      return parseJSONRPCMessage(value);
    } catch {
      this.#write(rpcError(null, RPC.invalidRequest, "Invalid Request: it is no JSON-RPC 2.0 message"));
      return undefined;
    }
  }

  #write(message: object): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const text = Buffer.from(JSON.stringify(message));
    const unread = this.#socket.bufferedAmount;
    const counted = this.#bytes.take(text.length);
    this.#socket.send(text, { binary: false }, () => {
      if (counted) this.#bytes.give(text.length);
    });
    // Who reads what was sent before gets this too, whatever other connections of the grant leave unread.
    if (unread + text.length > UNREAD_BYTES || (unread > 0 && !counted)) this.#end(notRead());
  }
}

function bufferOf(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

function protocolError(why: string): DoorwardError {
  return new DoorwardError({ code: "PROTOCOL_ERROR", message: `Cannot take message: ${why}` });
}

function tooMany(which: string): DoorwardError {
  return new DoorwardError({
    code: "RATE_LIMITED",
    message: `Cannot take request: too many, or too large ones, of ${which} already`,
    hint: "Wait until some of them are answered",
  });
}

function notRead(): DoorwardError {
  return new DoorwardError({
    code: "RATE_LIMITED",
    message: "Cannot send more: the client does not read its messages",
  });
}
