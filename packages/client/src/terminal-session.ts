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
  type WireNotice,
} from "@doorward/contracts";
import { backoff, delay } from "./backoff.ts";
import { defined } from "./defined.ts";
import { Handshake } from "./handshake.ts";
import { OutputQueue, type OutputSink } from "./output-queue.ts";
import { TerminalLink, type TerminalLinkListener, type TerminalMessage } from "./terminal-link.ts";
import type { Transport } from "./transport.ts";

/** How a terminal session ended. */
export type TerminalEnd =
  | { readonly kind: "exit"; readonly code: number | null; readonly signal: string | null }
  | { readonly kind: "detached" }
  | { readonly kind: "closed"; readonly error: DoorwardError };

/** What a session tells while it lasts. All are optional but `data`. */
export interface TerminalHandlers {
  /** Output in order, nothing twice; a returned promise holds the machine back once the window is full. */
  readonly data: (bytes: Uint8Array, offset: number) => void | Promise<void>;
  /** Output in `[from, to)` was lost: the ring was too small for the time that nobody listened. */
  readonly gap?: (from: number, to: number) => void;
  readonly notice?: (notice: WireNotice) => void;
  readonly role?: (role: TerminalRole) => void;
  /** The terminal has this size now. */
  readonly size?: (cols: number, rows: number) => void;
  /** The connection was lost and is being made again, or is back. */
  readonly connection?: (state: "lost" | "back", error?: DoorwardError) => void;
}

/** How to attach. */
export interface TerminalOptions extends TerminalHandlers {
  /** Attach to this terminal; a new one when absent. */
  readonly terminal?: string | undefined;
  /** Program of a new terminal; an interactive shell when absent. */
  readonly argv?: readonly string[] | undefined;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly mode?: "attach" | "observe" | undefined;
  readonly take?: boolean | undefined;
  readonly cols?: number | undefined;
  readonly rows?: number | undefined;
  /** Bytes of earlier output to show first. */
  readonly scrollback?: number | undefined;
  /** Continue at this position of an earlier session instead. */
  readonly resume?: number | undefined;
  /** Un-acknowledged output to hold, in bytes. */
  readonly window?: number | undefined;
  /** Ends the session. */
  readonly signal?: AbortSignal | undefined;
  /** How long to try to get a lost connection back, in milliseconds; 0 never tries. */
  readonly reconnectMs?: number | undefined;
  /** Called between tries, e.g. to start the bridge again; its rejection is ignored. */
  readonly revive?: ((error: DoorwardError, elapsedMs: number) => Promise<void>) | undefined;
}

/** Input kept while the connection is down, in bytes; more is refused. */
const MAX_HELD_INPUT = 65_536;
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
  #expected = 0;
  #consumed = 0;
  #acknowledged = 0;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

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
    await session.#connect(options.signal);
    return session;
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
    return this.#expected;
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
    if (this.#heldBytes + bytes.length > MAX_HELD_INPUT) return false;
    this.#held.push(bytes.slice());
    this.#heldBytes += bytes.length;
    return true;
  }

  /** Bytes typed that the network has not taken yet. */
  get bufferedBytes(): number {
    return this.#link?.bufferedBytes ?? this.#heldBytes;
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
    if (gapBetween(this.#ready, this.#expected, ready)) this.#options.gap?.(this.#expected, ready.offset);
    if (this.#ready === undefined) this.#consumed = this.#acknowledged = ready.offset;
    this.#expected = Math.max(this.#expected, ready.offset);
    this.#ready = ready;
    this.#link = link;
    this.#setRole(ready.role);
    if (this.#size !== undefined) link.send({ type: "resize", ...this.#size });
    for (const bytes of this.#held.splice(0)) this.#type(link, bytes);
    this.#heldBytes = 0;
  }

  #hello(): TerminalHello {
    const { mode = "attach", take, scrollback, resume, window } = this.#options;
    const again = this.#ready;
    const from = again === undefined ? resume : this.#expected;
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
    const skip = this.#expected - chunk.offset;
    if (skip >= chunk.bytes.length) return;
    if (skip < 0) this.#options.gap?.(this.#expected, chunk.offset);
    const bytes = skip > 0 ? chunk.bytes.subarray(skip) : chunk.bytes;
    const offset = Math.max(this.#expected, chunk.offset);
    if (skip < 0) this.#consumed -= skip;
    this.#expected = offset + bytes.length;
    const sink: OutputSink = (piece) => this.#options.data(piece, offset);
    this.#queue.push(sink, bytes);
  }

  #message(message: Exclude<TerminalMessage, { readonly type: "ready" }>): void {
    if (message.type === "exit") this.#end({ kind: "exit", code: message.code, signal: message.signal });
    else if (message.type === "notice") this.#options.notice?.(message);
    else if (message.type === "role") this.#setRole(message.role);
    else if (message.type === "size") this.#options.size?.(message.cols, message.rows);
    else this.#skip(message.from, message.to);
  }

  #skip(from: number, to: number): void {
    this.#options.gap?.(from, to);
    this.#consumed += Math.max(0, to - this.#expected);
    this.#expected = Math.max(this.#expected, to);
  }

  #setRole(role: TerminalRole): void {
    const changed = this.#role !== role;
    this.#role = role;
    if (changed) this.#options.role?.(role);
  }

  #acknowledge(bytes: number): void {
    this.#consumed += bytes;
    const window = this.#ready?.window ?? 0;
    if (this.#consumed - this.#acknowledged < window / 4 || this.#link === undefined) return;
    this.#acknowledged = this.#consumed;
    this.#link.send({ type: "ack", offset: this.#consumed });
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

function gapBetween(before: TerminalReady | undefined, expected: number, now: TerminalReady): boolean {
  return before !== undefined && now.offset > expected;
}
