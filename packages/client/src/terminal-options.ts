import type { DoorwardError, TerminalRole, WireNotice } from "@doorward/contracts";

/** How a terminal session ended. */
export type TerminalEnd =
  | { readonly kind: "exit"; readonly code: number | null; readonly signal: string | null }
  | { readonly kind: "detached" }
  | { readonly kind: "closed"; readonly error: DoorwardError };

/** What a session tells while it lasts. All are optional but `data`. */
export interface TerminalHandlers {
  /** Output in order, nothing twice; a returned promise holds the machine back once the window is full. */
  readonly data: (bytes: Uint8Array, offset: number) => void | Promise<void>;
  /** Output in `[from, to)` was lost: the ring was too small for the time that nobody listened. */
  readonly gap?: (from: number, to: number) => void;
  readonly notice?: (notice: WireNotice) => void;
  readonly role?: (role: TerminalRole) => void;
  /** The terminal has this size now. */
  readonly size?: (cols: number, rows: number) => void;
  /** The connection was lost and is being made again, or is back. */
  readonly connection?: (state: "lost" | "back", error?: DoorwardError) => void;
}

/** How to attach. */
export interface TerminalOptions extends TerminalHandlers {
  /** Attach to this terminal; a new one when absent. */
  readonly terminal?: string | undefined;
  /** Program of a new terminal; an interactive shell when absent. */
  readonly argv?: readonly string[] | undefined;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly mode?: "attach" | "observe" | undefined;
  readonly take?: boolean | undefined;
  readonly cols?: number | undefined;
  readonly rows?: number | undefined;
  /** Bytes of earlier output to show first. */
  readonly scrollback?: number | undefined;
  /** Continue at this position of an earlier session instead. */
  readonly resume?: number | undefined;
  /** Un-acknowledged output to hold, in bytes. */
  readonly window?: number | undefined;
  /** Ends the session. */
  readonly signal?: AbortSignal | undefined;
  /** How long to try to get a lost connection back, in milliseconds; 0 never tries. */
  readonly reconnectMs?: number | undefined;
  /** Called between tries, e.g. to start the bridge again; its rejection is ignored. */
  readonly revive?: ((error: DoorwardError, elapsedMs: number) => Promise<void>) | undefined;
}
