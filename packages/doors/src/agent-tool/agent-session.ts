import type { GuestFiles } from "@doorward/guest";
import type { DoorSession } from "../door.ts";
import { BackgroundCommands } from "./commands/background-commands.ts";
import { PendingCalls } from "./pending-calls.ts";

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

/** Opens the files of a session's machine, within its reach. */
export type FilesOpener = (door: DoorSession, signal: AbortSignal) => Promise<GuestFiles>;

/** An agent's session that its transport opened and closes; it ends with the session at the door in any case. */
export class OpenAgentSession implements AgentSession, AsyncDisposable {
  readonly door: DoorSession;
  readonly transport: AgentSession["transport"];
  readonly commands: BackgroundCommands;
  readonly pending: PendingCalls;
  readonly #openFiles: FilesOpener;
  #files: Promise<GuestFiles> | undefined;
  #disposed: Promise<void> | undefined;

  /** Begins a session; nothing is opened in the machine before a tool needs it. */
  constructor(door: DoorSession, transport: AgentSession["transport"], openFiles: FilesOpener) {
    this.door = door;
    this.transport = transport;
    this.commands = new BackgroundCommands(door);
    this.pending = new PendingCalls(door.signal);
    this.#openFiles = openFiles;
    const end = (): void => void this[Symbol.asyncDispose]();
    door.signal.addEventListener("abort", end, { once: true });
    if (door.signal.aborted) end();
  }

  /** Whether something goes on that ends with the session: a command in the background, a call that waits for the operator. */
  get busy(): boolean {
    return this.commands.busy || this.pending.busy;
  }

  async files(signal: AbortSignal): Promise<GuestFiles> {
    this.door.signal.throwIfAborted();
    const before = this.#files;
    const opened = await before?.catch(() => undefined);
    if (opened?.open === true) return opened;
    signal.throwIfAborted();
    // Several calls may find it lost at once; the first opens it. The stream serves later calls too, so it does not end
    // with the call that opened it.
    if (this.#files === before) this.#files = this.#openFiles(this.door, this.door.signal);
    return await (this.#files ?? this.#openFiles(this.door, this.door.signal));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#end();
    return this.#disposed;
  }

  async #end(): Promise<void> {
    const files = this.#files?.then((opened) => opened[Symbol.asyncDispose]());
    const { commands, pending } = this;
    await Promise.allSettled([commands[Symbol.asyncDispose](), pending[Symbol.asyncDispose](), files]);
  }
}
