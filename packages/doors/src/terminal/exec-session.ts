import {
  DEFAULT_WINDOW_BYTES,
  DoorwardError,
  ExecClientMessage,
  MAX_WIRE_CHUNK_BYTES,
  WIRE_KIND,
  decodeBytes,
  encodeBytes,
  toDoorwardError,
  type ExecHello,
  type ExitStatus,
  type WireKind,
} from "@doorward/contracts";
import { GuestCommand } from "@doorward/guest";
import type { WebSocket } from "ws";
import type { DoorSession } from "../door.ts";
import { authoriseExec } from "./authorise.ts";
import { CommandAccount } from "./command-account.ts";
import { DoorSocket } from "./door-socket.ts";
import { noticeMessage } from "./notice-message.ts";
import { OutputWindow } from "./output-window.ts";
import { outOfTurn } from "./protocol.ts";
import type { Quota } from "./quota.ts";

type ExecSocket = DoorSocket<typeof ExecClientMessage>;

/** One command, from its first message to its exit. It dies with its session. */
export class ExecSession {
  readonly #socket: ExecSocket;
  readonly #command: GuestCommand;
  readonly #window: OutputWindow;
  readonly #account: CommandAccount;
  #stdinRoom: number;

  /** Serves a session until its end; the command's record is durable before the client hears of its exit. */
  static async serve(session: DoorSession, webSocket: WebSocket, running: Quota): Promise<void> {
    const socket: ExecSocket = new DoorSocket(webSocket, ExecClientMessage, session.signal);
    try {
      const hello = await socket.first();
      if (hello.type !== "exec") throw outOfTurn(hello.type, "the first message is exec");
      authoriseExec(session);
      using _place = running.take(session.machine.id, session.spec.execution.maxConcurrent);
      await ExecSession.#run(session, socket, hello);
    } catch (error) {
      socket.fail(error);
    }
    await socket.ended;
  }

  static async #run(session: DoorSession, socket: ExecSocket, hello: ExecHello): Promise<void> {
    const account = new CommandAccount(session, { argv: hello.argv, cwd: hello.cwd ?? null });
    try {
      using command = await GuestCommand.start(session.host, openOf(hello), session.signal);
      const served = new ExecSession(socket, command, account, hello);
      using _notices = session.host.onNotice((notice) => socket.send(noticeMessage(notice)));
      served.#begin(session, hello);
      await socket.ended.catch(() => undefined);
    } catch (error) {
      await account.close({ outcome: "not-started", detail: toDoorwardError(error).message });
      throw error;
    }
    await account.close({ outcome: "cut", detail: "the session ended before the command" });
  }

  private constructor(socket: ExecSocket, command: GuestCommand, account: CommandAccount, hello: ExecHello) {
    this.#socket = socket;
    this.#command = command;
    this.#account = account;
    this.#window = new OutputWindow(hello.window ?? DEFAULT_WINDOW_BYTES, 0);
    this.#stdinRoom = hello.stdin === true ? command.started.stdinWindow : 0;
  }

  #begin(session: DoorSession, hello: ExecHello): void {
    const { limit } = this.#window;
    this.#socket.send({ type: "started", session: session.id, stdinWindow: this.#stdinRoom, window: limit });
    this.#socket.listen(limit, {
      message: (message) => this.#message(message),
      binary: (bytes) => this.#typed(bytes, hello.stdin === true),
    });
    this.#command.listen({
      stdout: (bytes) => this.#output(WIRE_KIND.stdout, bytes),
      stderr: (bytes) => this.#output(WIRE_KIND.stderr, bytes),
      credit: (bytes) => this.#credit(bytes),
      exit: (status) => void this.#exited(status),
      closed: (error) => void this.#lost(error),
    });
  }

  #output(kind: WireKind, bytes: Buffer): void {
    this.#account.count(kind === WIRE_KIND.stdout ? "stdout" : "stderr", bytes.length);
    for (let at = 0; at < bytes.length; at += MAX_WIRE_CHUNK_BYTES) {
      this.#socket.sendBytes(encodeBytes(kind, bytes.subarray(at, at + MAX_WIRE_CHUNK_BYTES)));
    }
    if (!this.#window.send(bytes.length)) this.#command.pause();
  }

  #credit(bytes: number): void {
    if (bytes === 0) return;
    this.#stdinRoom += bytes;
    this.#socket.send({ type: "stdin-credit", bytes });
  }

  #message(message: ExecClientMessage): void {
    switch (message.type) {
      case "exec":
        throw outOfTurn("exec", "the command runs already");
      case "ack":
        this.#window.acknowledge(message.bytes);
        if (this.#window.open) this.#command.resume();
        return;
      case "signal":
        this.#command.signal(message.signal);
        return;
      case "stdin-end":
        this.#command.endStdin();
    }
  }

  #typed(message: Uint8Array, wanted: boolean): void {
    const { bytes } = decodeBytes(message, [WIRE_KIND.stdin]);
    if (!wanted) throw outOfTurn("stdin", `the command was started without "stdin"`);
    this.#stdinRoom -= bytes.length;
    if (this.#stdinRoom < 0) throw outOfTurn("stdin", "it is over the window; wait for stdin-credit");
    this.#account.count("stdin", bytes.length);
    this.#command.stdin(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  }

  async #exited(status: ExitStatus): Promise<void> {
    const outcome = status.signal === null ? "exited" : "signalled";
    try {
      await this.#account.close({ outcome, exitCode: status.code, signal: status.signal });
      this.#socket.send({ type: "exit", ...status });
      this.#socket.finish();
    } catch (error) {
      this.#socket.fail(error);
    }
  }

  async #lost(error: DoorwardError | undefined): Promise<void> {
    if (this.#account.closed) return;
    await this.#account.close({ outcome: "lost", detail: error?.message ?? null }).catch(() => undefined);
    this.#socket.fail(error ?? lostCommand());
  }
}

function openOf(hello: ExecHello): Parameters<typeof GuestCommand.start>[1] {
  return {
    kind: "exec",
    argv: hello.argv,
    cwd: hello.cwd ?? null,
    env: hello.env ?? {},
    stdin: hello.stdin === true,
  };
}

function lostCommand(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "Cannot go on with command: the machine's guest closed the stream before it ended",
  });
}
