import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import {
  FRAME_HEADER_BYTES,
  FrameDecoder,
  decodeMessage,
  encodeFrame,
  encodeMessage,
  writeFrameHeader,
} from "../frame.ts";
import {
  EXEC_FROM_BRIDGE_RULES,
  FRAME,
  STDIN_WINDOW_BYTES,
  SignalRequest,
  expectShape,
  type ExecOpen,
  type ExecStarted,
} from "../protocol.ts";
import { endGroup, signalGroup, startCommand, type Command, type CommandMaker } from "./command.ts";
import { failureOf } from "./stream-failure.ts";

/** Credit for stdin is returned in steps of at least this. */
const CREDIT_STEP_BYTES = 65_536;
/** After the command ended, output of what it left in the background is waited for until it pauses this long. */
const QUIET_MS = 200;
/** ... but no more than this many times. */
const QUIET_ROUNDS = 25;

/** Runs one command over one stream, from the stream's opening to its end. */
export class ExecStream {
  readonly #socket: Socket;
  readonly #command: Command;
  readonly #decoder = new FrameDecoder(EXEC_FROM_BRIDGE_RULES);
  #stdinRoom = STDIN_WINDOW_BYTES;
  #creditOwed = 0;
  #open = 2;
  #heard = false;
  #status: { code: number | null; signal: string | null } | undefined;
  #finished = false;

  /** Starts the command and answers `started` or `failed`; resolves when the stream is over. */
  static async run(open: ExecOpen, socket: Socket, maker: CommandMaker): Promise<void> {
    socket.pause();
    const command = await startCommand(open, maker).catch((error: unknown) => {
      socket.end(encodeMessage(FRAME.failed, failureOf(error)));
    });
    if (command === undefined) return;
    const stream = new ExecStream(socket, command);
    await stream.#ended();
  }

  private constructor(socket: Socket, command: Command) {
    this.#socket = socket;
    this.#command = command;
    const started: ExecStarted = { pid: command.pid, stdinWindow: STDIN_WINDOW_BYTES };
    socket.write(encodeMessage(FRAME.started, started));
    this.#forward(command.stdout, FRAME.stdout);
    this.#forward(command.stderr, FRAME.stderr);
    // EPIPE: the command does not read its stdin any more; what was sent counts as taken
    command.stdin?.on("error", () => command.stdin?.destroy());
    void command.ended.then(({ code, signal }) => this.#exited(code, signal));
    socket.on("drain", () => this.#flow());
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.resume();
  }

  #ended(): Promise<void> {
    if (this.#socket.destroyed) this.#abandon();
    return new Promise((resolve) => {
      this.#socket.once("close", () => {
        this.#abandon();
        resolve();
      });
    });
  }

  #abandon(): void {
    if (!this.#finished) endGroup(this.#command.pid);
    this.#finished = true;
    const { stdin, stdout, stderr } = this.#command;
    for (const stream of [stdin, stdout, stderr]) stream?.destroy();
  }

  #received(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk, (type, payload) => this.#frame(type, payload));
    } catch {
      this.#socket.destroy();
    }
  }

  #frame(type: number, payload: Buffer): void {
    if (type === FRAME.stdin) this.#typed(payload);
    else if (type === FRAME.stdinEnd) this.#command.stdin?.end();
    else this.#signal(expectShape(SignalRequest, decodeMessage(payload), "signal").signal);
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#status === undefined) signalGroup(this.#command.pid, signal);
  }

  #typed(payload: Buffer): void {
    this.#stdinRoom -= payload.length;
    if (this.#stdinRoom < 0) {
      this.#socket.destroy();
      return;
    }
    const { stdin } = this.#command;
    if (stdin === null || !stdin.writable) this.#took(payload.length);
    else stdin.write(payload, () => this.#took(payload.length));
  }

  #took(bytes: number): void {
    this.#stdinRoom += bytes;
    this.#creditOwed += bytes;
    if (this.#creditOwed < CREDIT_STEP_BYTES || this.#socket.destroyed) return;
    const credit = Buffer.alloc(4);
    credit.writeUInt32BE(this.#creditOwed);
    this.#creditOwed = 0;
    this.#socket.write(encodeFrame(FRAME.stdinCredit, credit));
  }

  #forward(source: Readable, type: number): void {
    source.on("data", (chunk: Buffer) => {
      this.#heard = true;
      if (!this.#write(type, chunk)) this.#hold();
    });
    source.on("error", () => source.destroy());
    source.once("close", () => {
      this.#open -= 1;
      this.#finishIfDone();
    });
  }

  #write(type: number, chunk: Buffer): boolean {
    const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    writeFrameHeader(header, type, chunk.length);
    this.#socket.cork();
    this.#socket.write(header);
    const room = this.#socket.write(chunk);
    this.#socket.uncork();
    return room;
  }

  #hold(): void {
    this.#command.stdout.pause();
    this.#command.stderr.pause();
  }

  #flow(): void {
    this.#command.stdout.resume();
    this.#command.stderr.resume();
  }

  #exited(code: number | null, signal: string | null): void {
    this.#status = { code: signal === null ? (code ?? 255) : null, signal };
    this.#finishIfDone();
    if (!this.#finished) this.#waitForQuiet(QUIET_ROUNDS);
  }

  /** Processes left in the background may hold the pipes open for ever; the command is over when they fall silent. */
  #waitForQuiet(rounds: number): void {
    this.#heard = false;
    setTimeout(() => {
      if (this.#finished) return;
      const held = this.#command.stdout.isPaused();
      if (!held && (!this.#heard || rounds === 0)) this.#finish();
      else this.#waitForQuiet(held ? rounds : rounds - 1);
    }, QUIET_MS);
  }

  #finishIfDone(): void {
    if (this.#open === 0 && this.#status !== undefined) this.#finish();
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#socket.end(encodeMessage(FRAME.exit, this.#status));
  }
}
