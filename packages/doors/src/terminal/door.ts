import { DoorwardError, EXEC_PROTOCOL, FORWARD_PROTOCOL, TERMINAL_PROTOCOL } from "@doorward/contracts";
import type { WebSocket } from "ws";
import type { Door, DoorOperation, DoorSession } from "../door.ts";
import { PIPE_SEGMENT } from "./endpoints.ts";
import { ExecSession } from "./exec-session.ts";
import { ForwardSession } from "./forward-session.ts";
import { PipeSession } from "./pipe-session.ts";
import { Quota } from "./quota.ts";
import { TerminalPlaces } from "./terminal-places.ts";
import { TerminalSession } from "./terminal-session.ts";

const OPERATIONS: readonly DoorOperation[] = [
  { operation: "terminal.attach", approval: false },
  { operation: "terminal.observe", approval: false },
  { operation: "terminal.input", approval: false },
  { operation: "terminal.exec", approval: false },
  { operation: "terminal.agent-exec", approval: false },
  { operation: "terminal.forward", approval: false },
];

/** The terminal door: a session is a viewer of a terminal, a command, a pipe or a connection to a port, told apart by its protocol. */
export class TerminalDoorAdapter implements Door {
  readonly id = "terminal";
  readonly operations = OPERATIONS;
  readonly #viewers = new Quota("viewer", "profile.doors.terminal.attach.maxViewers");
  readonly #terminals = new TerminalPlaces();
  readonly #running = new Quota("command", "profile.doors.terminal.execution.maxConcurrent");
  readonly #sessions = new Set<Promise<void>>();
  #closed = false;

  async open(session: DoorSession, socket: WebSocket): Promise<void> {
    const served = this.#serve(session, socket);
    this.#sessions.add(served);
    try {
      await served;
    } finally {
      this.#sessions.delete(served);
    }
  }

  /** Takes no more sessions and waits for the open ones, which the gateway ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#sessions]);
  }

  #serve(session: DoorSession, socket: WebSocket): Promise<void> {
    if (this.#closed) return Promise.reject(stopping());
    if (session.protocol === TERMINAL_PROTOCOL) return this.#serveTerminal(session, socket);
    if (session.protocol === EXEC_PROTOCOL) return ExecSession.serve(session, socket, this.#running);
    if (session.protocol === PIPE_SEGMENT) return PipeSession.serve(session, socket, this.#running);
    if (session.protocol === FORWARD_PROTOCOL) return ForwardSession.serve(session, socket);
    return Promise.reject(
      new DoorwardError({
        code: "PROTOCOL_ERROR",
        message: `Cannot open door "terminal": it does not speak "${session.protocol}"`,
      }),
    );
  }

  #serveTerminal(session: DoorSession, socket: WebSocket): Promise<void> {
    return TerminalSession.serve(session, socket, { viewers: this.#viewers, terminals: this.#terminals });
  }
}

function stopping(): DoorwardError {
  return new DoorwardError({
    code: "BRIDGE_STOPPING",
    message: `Cannot open door "terminal": the bridge stops`,
  });
}
