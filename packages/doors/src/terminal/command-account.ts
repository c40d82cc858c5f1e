import type { Begun, CommandRecord, DoorSession } from "../door.ts";

/** What a command is started with, as far as its record tells. */
export interface AccountedCommand {
  readonly argv: readonly string[];
  readonly cwd: string | null;
}

/** How a command ended. */
export type CommandEnd = Pick<CommandRecord, "outcome"> &
  Partial<Pick<CommandRecord, "exitCode" | "signal" | "detail">>;

/** What the evidence says of one command, noted before it begins; written once. */
export class CommandAccount {
  readonly #session: DoorSession;
  readonly #command: AccountedCommand;
  readonly #begun: Begun;
  readonly #began = performance.now();
  readonly #bytes = { stdin: 0, stdout: 0, stderr: 0 };
  #closing: Promise<void> | undefined;

  /** EVIDENCE_UNWRITABLE when the command can't be noted. */
  constructor(session: DoorSession, command: AccountedCommand) {
    this.#session = session;
    this.#command = command;
    this.#begun = session.host.begin({ type: "command", execution: session.kind, ...command });
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Counts bytes of one of its streams. */
  count(stream: "stdin" | "stdout" | "stderr", bytes: number): void {
    this.#bytes[stream] += bytes;
  }

  /** Writes the record; resolves once it is durable, whoever closed first. */
  close(end: CommandEnd): Promise<void> {
    this.#closing ??= this.#write(end);
    return this.#closing;
  }

  async #write(end: CommandEnd): Promise<void> {
    await this.#begun.record({
      type: "command",
      execution: this.#session.kind,
      argv: this.#command.argv,
      cwd: this.#command.cwd,
      exitCode: null,
      signal: null,
      detail: null,
      durationMs: Math.round(performance.now() - this.#began),
      stdinBytes: this.#bytes.stdin,
      stdoutBytes: this.#bytes.stdout,
      stderrBytes: this.#bytes.stderr,
      ...end,
    });
  }
}
