import type { Socket } from "node:net";
import { FrameDecoder, decodeMessage, encodeMessage } from "../frame.ts";
import {
  FRAME,
  RoleRequest,
  Size,
  TERMINAL_FROM_BRIDGE_RULES,
  expectShape,
  type TerminalOpen,
} from "../protocol.ts";
import { noticeLoss } from "./notice-loss.ts";
import { failureOf } from "./stream-failure.ts";
import type { TerminalTable } from "./terminal-table.ts";
import type { Terminal, ViewRequest } from "./terminal.ts";
import type { Viewer } from "./viewer.ts";

/** Typed bytes that may wait for a program before the stream has to. */
const INPUT_HIGH_BYTES = 65_536;
/** How often a stream that has to wait looks whether its viewer is still there. */
const LOOK_MS = 500;

/** Serves one viewer's stream; the terminal outlives it. */
export class TerminalStream {
  readonly #socket: Socket;
  readonly #terminal: Terminal;
  readonly #viewer: Viewer;
  readonly #decoder = new FrameDecoder(TERMINAL_FROM_BRIDGE_RULES);
  #inputWaiting = 0;

  /** Creates or finds the terminal and answers `started` or `failed`. */
  static run(open: TerminalOpen, socket: Socket, table: TerminalTable): void {
    try {
      const terminal = open.action === "create" ? table.create(open) : table.get(open.terminal);
      new TerminalStream(socket, terminal, viewRequest(open));
    } catch (error) {
      socket.end(encodeMessage(FRAME.failed, failureOf(error)));
    }
  }

  private constructor(socket: Socket, terminal: Terminal, request: ViewRequest) {
    this.#socket = socket;
    this.#terminal = terminal;
    this.#viewer = terminal.attach(request, socket, (answer) => {
      socket.write(encodeMessage(FRAME.started, answer));
    });
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    noticeLoss(socket, () => socket.isPaused(), LOOK_MS);
    socket.once("close", () => terminal.detach(this.#viewer));
    if (socket.destroyed) terminal.detach(this.#viewer);
  }

  #received(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk, (type, payload) => this.#frame(type, payload));
    } catch {
      this.#socket.destroy();
    }
  }

  #frame(type: number, payload: Buffer): void {
    if (type === FRAME.input) this.#typed(payload);
    else if (type === FRAME.resize) {
      this.#terminal.resize(this.#viewer, expectShape(Size, decodeMessage(payload), "resize"));
    } else this.#terminal.want(this.#viewer, expectShape(RoleRequest, decodeMessage(payload), "role").want);
  }

  #typed(bytes: Buffer): void {
    this.#inputWaiting += bytes.length;
    this.#terminal.input(this.#viewer, bytes, () => {
      this.#inputWaiting -= bytes.length;
      if (this.#inputWaiting < INPUT_HIGH_BYTES && this.#socket.isPaused()) this.#socket.resume();
    });
    if (this.#inputWaiting >= INPUT_HIGH_BYTES) this.#socket.pause();
  }
}

function viewRequest(open: TerminalOpen): ViewRequest {
  if (open.action === "create") {
    const size = { cols: open.cols, rows: open.rows };
    return { id: open.viewer, mayControl: true, take: true, from: { scrollback: 0 }, size };
  }
  const size = open.cols !== null && open.rows !== null ? { cols: open.cols, rows: open.rows } : null;
  return { id: open.viewer, mayControl: open.mode === "control", take: open.take, from: open.from, size };
}
