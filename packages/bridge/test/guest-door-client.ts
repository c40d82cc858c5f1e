import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  EXEC_PROTOCOL,
  ExecServerMessage,
  TERMINAL_PROTOCOL,
  TerminalServerMessage,
  WIRE_KIND,
  decodeOutput,
  encodeBytes,
} from "@doorward/contracts";
import { WebSocket } from "ws";
import { gate, operator, type Caller } from "./guest-door-lab.ts";

type Message = ReturnType<typeof TerminalServerMessage.parse> | ReturnType<typeof ExecServerMessage.parse>;

/** A client written from the protocol's page. */
export class Client implements Disposable {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  output = Buffer.alloc(0);
  stderr = Buffer.alloc(0);
  offset = 0;
  total = 0;
  autoAck = true;
  keep = true;
  closed: { code: number; reason: string } | undefined;
  readonly #protocol: string;

  constructor(protocol: string, as: Partial<Caller> = {}) {
    gate.caller = { ...operator(), ...as };
    this.#protocol = protocol;
    this.socket = new WebSocket(gate.url, protocol);
    this.socket.on("error", () => undefined);
    this.socket.on(
      "close",
      (code: number, reason: Buffer) => (this.closed = { code, reason: reason.toString() }),
    );
    this.socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.#bytes(data);
      else this.#text(data);
    });
  }

  async open(hello: object): Promise<this> {
    await new Promise<void>((resolve) => this.socket.once("open", resolve));
    this.send(hello);
    return this;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  type(text: string | Buffer): void {
    this.socket.send(encodeBytes(WIRE_KIND.input, Buffer.from(text)));
  }

  find<Type extends Message["type"]>(type: Type): Extract<Message, { type: Type }> | undefined {
    return this.messages.findLast(
      (message): message is Extract<Message, { type: Type }> => message.type === type,
    );
  }

  async until(what: string, holds: () => boolean, ms = 120_000): Promise<void> {
    const end = performance.now() + ms;
    while (!holds()) {
      if (performance.now() > end) {
        assert.fail(
          `never saw ${what}: ${JSON.stringify(this.messages)} ${JSON.stringify(this.output.toString().slice(-200))}`,
        );
      }
      await sleep(5);
    }
  }

  see(text: string, ms?: number): Promise<void> {
    return this.until(JSON.stringify(text), () => this.output.includes(text), ms);
  }

  async end(): Promise<{ code: number; reason: string }> {
    await this.until("close", () => this.closed !== undefined);
    assert.ok(this.closed);
    return this.closed;
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  #text(data: Buffer): void {
    const schema = this.#protocol === TERMINAL_PROTOCOL ? TerminalServerMessage : ExecServerMessage;
    const message = schema.parse(JSON.parse(data.toString()));
    this.messages.push(message);
    if (message.type === "ready") this.offset = message.offset;
    if (message.type === "gap") {
      this.offset = message.to;
      if (this.autoAck) this.send({ type: "ack", offset: this.offset });
    }
  }

  #bytes(data: Buffer): void {
    if (this.#protocol === TERMINAL_PROTOCOL) {
      const { offset, bytes } = decodeOutput(data);
      assert.equal(offset, this.offset);
      this.offset += bytes.length;
      this.total += bytes.length;
      if (this.keep) this.output = Buffer.concat([this.output, bytes]);
      if (this.autoAck) this.send({ type: "ack", offset: this.offset });
      return;
    }
    const bytes = data.subarray(1);
    this.total += bytes.length;
    if (data[0] === WIRE_KIND.stdout) this.output = Buffer.concat([this.output, bytes]);
    else this.stderr = Buffer.concat([this.stderr, bytes]);
    if (this.autoAck) this.send({ type: "ack", bytes: this.total });
  }
}

/** A plain shell, as a terminal of its own. */
export const bash = { new: { argv: ["bash", "--norc", "--noprofile"], env: { PS1: "$ " } } };

/** Asks for a terminal: by default for a new one with a plain shell. */
export function attach(hello: object = {}, as: Partial<Caller> = {}): Promise<Client> {
  return new Client(TERMINAL_PROTOCOL, as).open({ type: "hello", mode: "attach", terminal: bash, ...hello });
}

/** Asks for a command. */
export function exec(hello: object, as: Partial<Caller> = {}): Promise<Client> {
  return new Client(EXEC_PROTOCOL, as).open({ type: "exec", ...hello });
}

/** How a session ended that was refused: the code of its end, and its reason. */
export async function refusal(client: Client): Promise<string> {
  const { code, reason } = await client.end();
  const error = client.find("error");
  assert.equal(error?.fatal, true);
  assert.equal(error.code, reason);
  return `${String(code)} ${reason}`;
}
