import { EXEC_PROTOCOL, FORWARD_PROTOCOL, TERMINAL_PROTOCOL } from "@doorward/contracts";
import type { DoorEndpoint } from "../door.ts";

/** The terminal door's endpoints: terminals, single commands, and connections to ports of the machine. */
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
    segment: "forward",
    protocol: FORWARD_PROTOCOL,
    operations: ["terminal.forward"],
    implicit: ["terminal.forward"],
  },
];
