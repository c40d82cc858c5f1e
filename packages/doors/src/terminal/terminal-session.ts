import {
  DEFAULT_WINDOW_BYTES,
  DoorwardError,
  MAX_WIRE_CHUNK_BYTES,
  SessionId,
  TerminalClientMessage,
  TerminalId,
  WIRE_KIND,
  decodeBytes,
  encodeOutput,
  type TerminalHello,
  type TerminalReady,
} from "@doorward/contracts";
import { GuestTerminal, type RoleChange, type TerminalListener } from "@doorward/guest";
import type { WebSocket } from "ws";
import type { DoorNotice, DoorSession, TerminalRecord } from "../door.ts";
import { authoriseTerminal, type TerminalRights } from "./authorise.ts";
import { DoorSocket } from "./door-socket.ts";
import { OutputWindow } from "./output-window.ts";
import { outOfTurn } from "./protocol.ts";
import { OutputFloor } from "./output-floor.ts";
import type { Quota } from "./quota.ts";
import { TerminalRecorder } from "./terminal-recorder.ts";
import { newTerminalId, terminalOpen } from "./terminal-open.ts";
import type { TerminalPlace, TerminalPlaces } from "./terminal-places.ts";
import { noticeMessage } from "./notice-message.ts";

/** What the bridge counts of terminals, for all sessions together. */
export interface TerminalCounts {
  readonly viewers: Quota;
  readonly terminals: TerminalPlaces;
}

interface ServedTerminal {
  readonly terminal: GuestTerminal;
  readonly place: TerminalPlace;
  readonly rights: TerminalRights;
  readonly hello: TerminalHello;
  readonly recorder: TerminalRecorder | undefined;
}

const RECORDED: DoorNotice = {
  code: "RECORDED",
  message: "This session is recorded: what the terminal prints, after redaction; what is typed is not",
};

/** One viewer of a terminal, from its hello to its end. The terminal itself outlives it. */
export class TerminalSession {
  readonly #session: DoorSession;
  readonly #socket: DoorSocket<typeof TerminalClientMessage>;
  readonly #terminal: GuestTerminal;
  readonly #rights: TerminalRights;
  readonly #window: OutputWindow;
  readonly #place: TerminalPlace;
  readonly #floor: OutputFloor;
  readonly #recorder: TerminalRecorder | undefined;
  #controls: boolean;
  /** Whether control was asked for since it was last recorded: a machine that says so all the time fills no disk. */
  #asked = false;

  /** Serves a session until its end. */
  static async serve(session: DoorSession, webSocket: WebSocket, counts: TerminalCounts): Promise<void> {
    const socket = new DoorSocket(webSocket, TerminalClientMessage, session.signal);
    try {
      await TerminalSession.#serve(session, socket, counts);
    } catch (error) {
      socket.fail(error);
    }
    await socket.ended;
  }

  static async #serve(
    session: DoorSession,
    socket: DoorSocket<typeof TerminalClientMessage>,
    { viewers, terminals }: TerminalCounts,
  ): Promise<void> {
    const hello = await socket.first();
    if (hello.type !== "hello") throw outOfTurn(hello.type, "the first message is hello");
    const rights = authoriseTerminal(session, hello);
    const id = "id" in hello.terminal ? hello.terminal.id : newTerminalId();
    using place = await terminals.take(session, id);
    using _viewer = viewers.take(`${session.machine.id}/${id}`, session.spec.attach.maxViewers);
    using terminal = await GuestTerminal.open(
      session.host,
      terminalOpen(session, hello, id, rights),
      session.signal,
    );
    if (terminal.started.terminal !== id) throw wrongTerminal(id);
    await using recorder = await recorderOf(session, terminal);
    const served = new TerminalSession(session, socket, { terminal, place, rights, hello, recorder });
    using _notices = session.host.onNotice((notice) => served.#notice(notice));
    served.#begin(hello);
    await socket.ended.catch(() => undefined);
  }

  private constructor(
    session: DoorSession,
    socket: DoorSocket<typeof TerminalClientMessage>,
    { terminal, place, rights, hello, recorder }: ServedTerminal,
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#terminal = terminal;
    this.#rights = rights;
    this.#window = new OutputWindow(hello.window ?? DEFAULT_WINDOW_BYTES, terminal.started.offset);
    this.#recorder = recorder;
    this.#place = place;
    place.runs = true;
    const oldest = place.oldest(session.spec.attach.scrollbackBytes);
    this.#floor = new OutputFloor(oldest, terminal.started.offset);
    this.#controls = terminal.started.role === "controller";
  }

  #begin(hello: TerminalHello): void {
    const created = "new" in hello.terminal;
    this.#record(created ? "created" : hello.mode === "observe" ? "observed" : "attached", {
      argv: "new" in hello.terminal ? (hello.terminal.new.argv ?? null) : null,
    });
    this.#socket.send(this.#ready(created));
    if (this.#recorder !== undefined) this.#notice(RECORDED);
    this.#socket.listen(this.#window.limit, {
      message: (message) => this.#message(message),
      binary: (bytes) => this.#typed(bytes),
    });
    this.#terminal.listen(this.#guestListener());
  }

  #ready(created: boolean): TerminalReady {
    const { terminal, role, offset, cols, rows } = this.#terminal.started;
    return {
      type: "ready",
      terminal,
      session: this.#session.id,
      created,
      role: this.#rights.mode === "observe" ? "observer" : role,
      input: this.#rights.input,
      offset,
      cols,
      rows,
      window: this.#window.limit,
    };
  }

  #guestListener(): TerminalListener {
    return {
      output: (bytes, offset) => this.#output(bytes, offset),
      gap: (_from, to) => this.#gap(this.#floor.gap(to), to),
      role: (change) => this.#roleChanged(change),
      size: ({ cols, rows }) => {
        this.#socket.send({ type: "size", cols, rows });
        this.#recorder?.resize(cols, rows);
      },
      exit: (status, offset) => {
        this.#recorder?.exited(status.code);
        this.#place.runs = false;
        this.#record("exited", { exitCode: status.code, signal: status.signal });
        this.#socket.send({ type: "exit", ...status, offset });
        this.#socket.finish();
      },
      closed: (error) => this.#socket.fail(error ?? guestGone()),
    };
  }

  #output(received: Buffer, position: number): void {
    this.#place.reached(position + received.length);
    const allowed = this.#floor.output(received, position);
    if (allowed === undefined) return;
    const { gapFrom, offset, bytes } = allowed;
    this.#gap(gapFrom, offset);
    for (let at = 0; at < bytes.length; at += MAX_WIRE_CHUNK_BYTES) {
      this.#socket.sendBytes(encodeOutput(offset + at, bytes.subarray(at, at + MAX_WIRE_CHUNK_BYTES)));
    }
    if (!this.#window.send(bytes.length)) this.#terminal.pause();
    this.#recorder?.output(bytes);
  }

  #gap(from: number | undefined, to: number): void {
    if (from === undefined) return;
    this.#window.skip(to);
    this.#socket.send({ type: "gap", from, to });
    this.#recorder?.gap(to - from);
  }

  #roleChanged(change: RoleChange): void {
    const controller = SessionId.safeParse(change.controller);
    const controls = change.role === "controller" && this.#rights.mode === "control";
    if (controls && !this.#controls && this.#asked) {
      this.#asked = false;
      this.#record("control", {});
    }
    if (controls !== this.#controls)
      this.#recorder?.marker(controls ? "this session controls" : "this session only watches");
    this.#controls = controls;
    this.#socket.send({
      type: "role",
      role: controls ? "controller" : "observer",
      controller: controller.success ? controller.data : null,
    });
  }

  #message(message: TerminalClientMessage): void {
    switch (message.type) {
      case "hello":
        throw outOfTurn("hello", "the terminal is attached already");
      case "ack":
        this.#window.acknowledge(message.offset);
        if (this.#window.open) this.#terminal.resume();
        return;
      case "resize":
        if (this.#rights.mode === "control")
          this.#terminal.resize({ cols: message.cols, rows: message.rows });
        return;
      case "take-control":
        this.#requireControlMode(message.type);
        this.#session.host.check("terminal.attach");
        this.#asked = true;
        this.#terminal.want("control");
        return;
      case "release-control":
        this.#requireControlMode(message.type);
        this.#terminal.want("observe");
        return;
      case "detach":
        this.#socket.finish();
    }
  }

  #typed(message: Uint8Array): void {
    const { bytes } = decodeBytes(message, [WIRE_KIND.input]);
    if (bytes.length > MAX_WIRE_CHUNK_BYTES) throw tooLarge(bytes.length);
    this.#requireControlMode("input");
    this.#session.host.check("terminal.input");
    this.#recorder?.typed();
    this.#asked = true;
    if (!this.#terminal.input(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))) this.#holdInput();
  }

  /** The guest takes no more for now, so neither do we; the client's own buffers fill, and it has to wait. */
  #holdInput(): void {
    this.#socket.pause();
    this.#terminal.onceWritable(() => this.#socket.resume());
  }

  #requireControlMode(what: string): void {
    if (this.#rights.mode === "control") return;
    throw outOfTurn(what, `an observer only watches; attach with mode "attach" to type`);
  }

  #record(event: TerminalRecord["event"], more: Partial<TerminalRecord>): void {
    const { host, kind } = this.#session;
    const terminal = this.#terminal.started.terminal;
    host
      .record({
        type: "terminal",
        execution: kind,
        event,
        terminal,
        argv: null,
        exitCode: null,
        signal: null,
        ...more,
      })
      .catch((error: unknown) => this.#socket.fail(error));
  }

  #notice(notice: DoorNotice): void {
    this.#socket.send(noticeMessage(notice));
  }
}

/** The recorder of a session where the profile wants one; a terminal that can't be recorded is not opened. */
async function recorderOf(
  session: DoorSession,
  { started }: GuestTerminal,
): Promise<TerminalRecorder | undefined> {
  if (session.spec.transcript.capture === "off") return undefined;
  const { terminal: id, cols, rows, offset } = started;
  const file = await session.host.transcript({ terminal: id });
  return new TerminalRecorder(session, { id, cols, rows, whole: offset === 0 }, file);
}

function wrongTerminal(id: string): DoorwardError {
  return new DoorwardError({
    code: "GUEST_PROTOCOL",
    message: `Cannot attach to terminal "${TerminalId.parse(id)}": the machine's guest answered for another one`,
  });
}

function guestGone(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "Cannot go on with terminal: the machine's guest closed the stream",
    hint: "attach again; output is kept as far as the scrollback reaches",
  });
}

function tooLarge(bytes: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot type: ${String(bytes)} bytes in one message are over ${String(MAX_WIRE_CHUNK_BYTES)}`,
  });
}
