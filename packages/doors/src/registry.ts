import { AGENT_TOOL_ENDPOINTS } from "./agent-tool/endpoints.ts";
import type { DoorEntry } from "./door.ts";
import { TERMINAL_ENDPOINTS } from "./terminal/endpoints.ts";

/** Every door, one line each. */
export const DOOR_REGISTRY: readonly DoorEntry[] = [
  {
    id: "terminal",
    endpoints: TERMINAL_ENDPOINTS,
    load: async () => (await import("./terminal/index.ts")).createTerminalDoor(),
  },
  {
    id: "agent-tool",
    endpoints: AGENT_TOOL_ENDPOINTS,
    load: async () => (await import("./agent-tool/index.ts")).createAgentToolDoor(),
  },
];
