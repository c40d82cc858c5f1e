import type { GuestFiles } from "@doorward/guest";
import type { DoorSession } from "../door.ts";
import type { BackgroundCommands } from "./commands/background-commands.ts";
import type { PendingCalls } from "./pending-calls.ts";

/** Who speaks at the other end, as the client says of itself. */
export interface ClientInfo {
  readonly name: string;
  readonly version: string;
}

/** One agent's session: what its tools work with, from its first call until its grant ends or it goes away. */
export interface AgentSession {
  readonly door: DoorSession;
  readonly transport: "http" | "websocket" | "stdio";
  /** Files of the machine within the session's reach; opened when first used, opened anew when the guest was away. */
  files(signal: AbortSignal): Promise<GuestFiles>;
  /** Commands that run in the background; they end with the session. */
  readonly commands: BackgroundCommands;
  /** Calls that wait for the operator. */
  readonly pending: PendingCalls;
}
