import {
  DoorwardError,
  MAX_WIRE_CHUNK_BYTES,
  WIRE_KIND,
  encodeBytes,
  toDoorwardError,
  type OutputChunk,
  type TerminalHello,
  type TerminalReady,
  type TerminalRole,
} from "@doorward/contracts";
import { backoff, delay } from "./backoff.ts";
import { defined } from "./defined.ts";
import { Handshake } from "./handshake.ts";
import { HeldInput } from "./held-input.ts";
import { OutputPosition } from "./output-position.ts";
import { OutputQueue } from "./output-queue.ts";
import type { TerminalEnd, TerminalOptions } from "./terminal-options.ts";
import { TerminalLink, type TerminalLinkListener, type TerminalMessage } from "./terminal-link.ts";
import type { Transport } from "./transport.ts";

const DEFAULT_RECONNECT_MS = 60_000;

/** One viewer of a terminal. It outlives its connections: a lost one is made again, and output goes on at the next byte. */
export class TerminalSession implements AsyncDisposable {
  /** How it ended, once all output before it was handed on; never rejects. */
  readonly done: Promise<TerminalEnd>;
  readonly #transport: Transport;
  readonly #machine: string;
  readonly #options: TerminalOptions;
  readonly #queue: OutputQueue;
  readonly #stop = new AbortController();
  #finish: (end: TerminalEnd) => void = () => undefined;
  #ended = false;
  #link: TerminalLink | undefined;
  #ready: TerminalReady | undefined;
  #role: TerminalRole = "observer";
  #size: { readonly cols: number; readonly rows: number } | undefined;
  readonly #position = new OutputPosition();
  readonly #held = new HeldInput();

  private constructor(transport: Transport, machine: string, options: TerminalOptions) {
    this.#transport = transport;
    this.#machine = machine;
    this.#options = options;
    this.#queue = new OutputQueue(
      (bytes) => this.#acknowledge(bytes),
      (cause) => this.#end({ kind: "closed", error: toDoorwardError(cause) }),
    );
    if (options.cols !== undefined && options.rows !== undefined)
      this.#size = { cols: options.cols, rows: options.rows };
    const ended = new Promise<TerminalEnd>((resolve) => (this.#finish = resolve));
    this.done = ended.then((end) => this.#queue.drained().then(() => end));
  }

  /** Attaches; rejects when the first connection is refused. */
  static async open(
    transport: Transport,
    machine: string,
    options: TerminalOptions,
  ): Promise<TerminalSession> {
    const session = new TerminalSession(transport, machine, options);
    options.signal?.addEventListener("abort", () => session.detach(), {
      once: true,
      signal: session.#stop.signal,
    });
    try {
      await session.#connect(options.signal);
      return session;
    } catch (cause) {
      session.#stop.abort();
      throw cause;
    }
  }

  /** Id of the terminal, for attaching to it later. */
  get id(): string {
    return this.#ready?.terminal ?? "";
  }

  /** Whether this viewer types, or watches. */
  get role(): TerminalRole {
    return this.#role;
  }

  /** Whether typing is possible now: the grant allows it and this viewer controls. */
  get canType(): boolean {
    return this.#ready?.input === true && this.#role === "controller";
  }

  /** Position of the next output byte; with it another session can resume. */
  get offset(): number {
    return this.#position.expected;
  }

  /** Position of the first output byte of this session. */
  get start(): number {
    return this.#ready?.offset ?? 0;
  }

  /** Types bytes. While the connection is down up to 64 KiB are kept; false when they were not taken. */
  write(bytes: Uint8Array): boolean {
    if (this.#ended || !this.canType) return false;
    if (this.#link !== undefined) {
      this.#type(this.#link, bytes);
      return true;
    }
    return this.#held.keep(bytes);
  }

  /** Bytes typed that the network has not taken yet. */
  get bufferedBytes(): number {
    return this.#link?.bufferedBytes ?? this.#held.length;
  }

  /** Tells the size of the viewer's window; kept for the next connection while there is none. */
  resize(cols: number, rows: number): void {
    this.#size = { cols, rows };
    this.#link?.send({ type: "resize", cols, rows });
  }

  /** Takes control from whoever has it. */
  takeControl(): void {
    this.#link?.send({ type: "take-control" });
  }

  /** Gives control up and goes on watching. */
  releaseControl(): void {
    this.#link?.send({ type: "release-control" });
  }

  /** Leaves; the terminal and its program live on. */
  detach(): void {
    this.#link?.send({ type: "detach" });
    this.#end({ kind: "detached" });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.detach();
    return Promise.resolve();
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    const gate = new Handshake<TerminalReady>();
    const link: TerminalLink = await TerminalLink.open(
      this.#transport,
      this.#machine,
      this.#listener(gate, () => link),
      signal,
    );
    const abort = (): void => link.terminate();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      link.send(this.#hello());
      await gate.answer;
    } catch (cause) {
      link.terminate();
      throw cause;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #adopt(link: TerminalLink, ready: TerminalReady): void {
    if (this.#ended) {
      link.terminate();
      return;
    }
    const { expected } = this.#position;
    if (this.#ready === undefined) this.#position.begin(ready.offset);
    else if (this.#position.skipTo(ready.offset)) this.#options.gap?.(expected, ready.offset);
    this.#ready = ready;
    this.#link = link;
    this.#setRole(ready.role);
    if (this.#size !== undefined) link.send({ type: "resize", ...this.#size });
    for (const bytes of this.#held.release()) this.#type(link, bytes);
  }

  #hello(): TerminalHello {
    const { mode = "attach", take, scrollback, resume, window } = this.#options;
    const again = this.#ready;
    const from = again === undefined ? resume : this.#position.expected;
    return {
      type: "hello",
      mode,
      terminal: again === undefined ? this.#wanted() : { id: again.terminal },
      ...this.#size,
      ...defined({ take: again === undefined ? take : this.#role === "controller", resume: from, window }),
      ...(from === undefined ? defined({ scrollback }) : {}),
    };
  }

  #wanted(): TerminalHello["terminal"] {
    const { terminal, argv, cwd, env } = this.#options;
    if (terminal !== undefined) return { id: terminal };
    return { new: { ...defined({ argv: argv && [...argv], cwd, env: env && { ...env } }) } };
  }

  #listener(gate: Handshake<TerminalReady>, link: () => TerminalLink): TerminalLinkListener {
    return {
      output: (chunk) => this.#output(chunk),
      message: (message) => {
        if (message.type !== "ready") {
          this.#message(message);
          return;
        }
        if (gate.accept(message)) this.#adopt(link(), message);
      },
      lost: (error, final) => {
        if (!gate.refuse(error)) this.#lost(error, final);
      },
    };
  }

  #output(chunk: OutputChunk): void {
    const output = this.#position.take(chunk);
    if (output === undefined) return;
    if (output.gap !== undefined) this.#options.gap?.(output.gap.from, output.gap.to);
    this.#queue.push((piece) => this.#options.data(piece, output.offset), output.bytes);
  }

  #message(message: Exclude<TerminalMessage, { readonly type: "ready" }>): void {
    if (message.type === "exit") this.#end({ kind: "exit", code: message.code, signal: message.signal });
    else if (message.type === "notice") this.#options.notice?.(message);
    else if (message.type === "role") this.#setRole(message.role);
    else if (message.type === "size") this.#options.size?.(message.cols, message.rows);
    else if (this.#position.skipTo(message.to)) this.#options.gap?.(message.from, message.to);
  }

  #setRole(role: TerminalRole): void {
    const changed = this.#role !== role;
    this.#role = role;
    if (changed) this.#options.role?.(role);
  }

  #acknowledge(bytes: number): void {
    this.#position.consume(bytes);
    const offset = this.#link === undefined ? undefined : this.#position.due(this.#ready?.window ?? 0);
    if (offset !== undefined) this.#link?.send({ type: "ack", offset });
  }

  #type(link: TerminalLink, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += MAX_WIRE_CHUNK_BYTES) {
      link.sendBytes(encodeBytes(WIRE_KIND.input, bytes.subarray(at, at + MAX_WIRE_CHUNK_BYTES)));
    }
  }

  #lost(error: DoorwardError, final: boolean): void {
    this.#link = undefined;
    const limit = this.#options.reconnectMs ?? DEFAULT_RECONNECT_MS;
    if (this.#ended) return;
    if (final || limit === 0) {
      this.#end({ kind: "closed", error });
      return;
    }
    this.#options.connection?.("lost", error);
    void this.#reconnect(error, limit);
  }

  async #reconnect(first: DoorwardError, limit: number): Promise<void> {
    const started = performance.now();
    let last = first;
    for (let attempt = 0; performance.now() - started < limit && !this.#ended; attempt += 1) {
      try {
        await delay(backoff(attempt), this.#stop.signal);
        await this.#options.revive?.(last, performance.now() - started).catch(() => undefined);
        await this.#connect(this.#stop.signal);
        this.#options.connection?.("back");
        return;
      } catch (cause) {
        if (!(cause instanceof DoorwardError)) break;
        last = cause;
        if (!isRetriable(cause)) break;
      }
    }
    this.#end({ kind: "closed", error: last });
  }

  #end(end: TerminalEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stop.abort();
    this.#link?.close();
    this.#link = undefined;
    this.#finish(end);
  }
}

const RETRIABLE: ReadonlySet<string> = new Set([
  "BRIDGE_UNREACHABLE",
  "BRIDGE_STOPPING",
  "GUEST_UNREACHABLE",
  "TIMED_OUT",
  "RATE_LIMITED",
]);

function isRetriable(error: DoorwardError): boolean {
  return RETRIABLE.has(error.code);
}
