import {
  EXEC_PROTOCOL,
  FORWARD_PROTOCOL,
  MAX_PIPE_MESSAGE_BYTES,
  TERMINAL_PROTOCOL,
} from "@doorward/contracts";
import type { DoorEndpoint } from "../door.ts";

/** The segment of the pipe, which is its sessions' protocol too: it has no subprotocol. */
export const PIPE_SEGMENT = "pipe";

/** The terminal door's endpoints: terminals, single commands, pipes to a program, and connections to ports of the machine. */
export const TERMINAL_ENDPOINTS: readonly DoorEndpoint[] = [
  {
    segment: "terminal",
    protocol: TERMINAL_PROTOCOL,
    operations: ["terminal.attach", "terminal.observe"],
    implicit: ["terminal.attach", "terminal.observe", "terminal.input"],
  },
  {
    segment: "exec",
    protocol: EXEC_PROTOCOL,
    operations: ["terminal.exec", "terminal.agent-exec"],
    implicit: ["terminal.exec"],
  },
  {
    segment: PIPE_SEGMENT,
    protocol: null,
    query: true,
    messageBytes: MAX_PIPE_MESSAGE_BYTES,
    operations: ["terminal.exec", "terminal.agent-exec"],
    implicit: ["terminal.exec"],
  },
  {
    segment: "forward",
    protocol: FORWARD_PROTOCOL,
    operations: ["terminal.forward"],
    implicit: ["terminal.forward"],
  },
];
