import type { Door } from "../door.ts";
import { TerminalDoorAdapter } from "./door.ts";

/** The terminal door: attach to, observe and create terminals, and run commands. */
export function createTerminalDoor(): Door {
  return new TerminalDoorAdapter();
}
