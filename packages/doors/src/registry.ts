import type { DoorEntry } from "./door.ts";
import { TERMINAL_ENDPOINTS } from "./terminal/endpoints.ts";

/** Every door, one line each. */
export const DOOR_REGISTRY: readonly DoorEntry[] = [
  {
    id: "terminal",
    endpoints: TERMINAL_ENDPOINTS,
    load: async () => (await import("./terminal/index.ts")).createTerminalDoor(),
  },
];
