import { EXEC_PROTOCOL, TERMINAL_PROTOCOL } from "@doorward/contracts";
import type { DoorEndpoint } from "../door.ts";

/** The terminal door's two endpoints: terminals, and single commands. */
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
];
