import { randomBytes } from "node:crypto";
import { DenialError, DoorwardError } from "@doorward/contracts";
import type { Begun, DoorBeginning, DoorSession } from "../../door.ts";
import { CALL_VARIABLE, Keeper } from "./keeper.ts";
import { MachineCommand, type CommandEnd } from "./machine-command.ts";
import { programOf } from "./program-of.ts";

/** A line that a session runs. */
export interface CommandLine {
  readonly command: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: boolean;
}

/** A command that a session started, by the mark that all it starts carries. */
export interface StartedCommand {
  readonly id: string;
  readonly line: CommandLine;
  readonly shell: string;
  readonly mark: string;
  readonly process: MachineCommand;
}

/** A command that can be asked about by its id. */
export interface KeptCommand extends StartedCommand {
  readonly background: boolean;
  /** Why it was ended by us; null when it ended by itself or runs. */
  stopped: "asked" | "timed-out" | null;
  /** Where the next poll starts that names no cursor. */
  cursor: number;
}

/** How a command of a session stands. */
export interface CommandView {
  readonly id: string;
  readonly command: string;
  readonly state: CommandState;
  readonly exitCode: number | null;
}

/** How a command stands: `stopped` was ended on request or by its time limit, `lost` with its machine. */
export type CommandState = "running" | "exited" | "signalled" | "stopped" | "timed-out" | "lost";

/** Most commands that run in the background of one session. */
const MOST_BACKGROUND = 16;
/** Ended commands whose output can still be read. */
const MOST_ENDED = 8;

/** The commands that one session started; all end when it is disposed, with everything that they started. */
export class BackgroundCommands implements AsyncDisposable {
  readonly #door: DoorSession;
  readonly #mark = `dw${randomBytes(12).toString("hex")}`;
  readonly #kept = new Map<string, KeptCommand>();
  readonly #running = new Set<MachineCommand>();
  readonly #recording = new Set<Promise<void>>();
  #keeper: Promise<Keeper> | undefined;
  #shell = "bash";
  #count = 0;
  /** Commands in the background that are being started. */
  #beginning = 0;
  #closed = false;

  constructor(door: DoorSession) {
    this.#door = door;
  }

  /** Whether a command runs in the background. */
  get busy(): boolean {
    return [...this.#kept.values()].some(({ process }) => process.end === undefined);
  }

  /** Starts a line in the machine's shell. COMMAND_NOT_FOUND, PATH_NOT_FOUND, GUEST_UNREACHABLE. */
  async start(line: CommandLine, signal: AbortSignal): Promise<StartedCommand> {
    await this.#keep();
    signal.throwIfAborted();
    this.#count += 1;
    const id = `c${String(this.#count)}`;
    const mark = `${this.#mark}.${id}.`;
    const process = await this.#run(line, mark);
    const started = { id, line, shell: this.#shell, mark, process };
    if (this.#closed || signal.aborted) {
      await this.kill(started);
      signal.throwIfAborted();
      throw sessionEnded();
    }
    this.#running.add(process);
    void process.ended.then(() => this.#running.delete(process));
    return started;
  }

  /** Kills a command at once, with everything that it started. */
  async kill({ process, mark }: StartedCommand): Promise<void> {
    process[Symbol.dispose]();
    await this.sweep({ mark });
  }

  /** Kills what an ended command left, in whatever session or group it is. */
  async sweep({ mark }: Pick<StartedCommand, "mark">): Promise<void> {
    const keeper = await this.#keeper?.catch(() => undefined);
    keeper?.end(mark);
  }

  /**
   * Takes the place of a command that begins in the background, until it is kept and this is disposed. RATE_LIMITED when
   * there are as many as there may be.
   */
  beginOne(): Disposable {
    const running = this.list().filter(({ state }) => state === "running").length + this.#beginning;
    if (running < MOST_BACKGROUND) {
      this.#beginning += 1;
      return { [Symbol.dispose]: () => void (this.#beginning -= 1) };
    }
    throw new DenialError({
      code: "RATE_LIMITED",
      rule: "agent-tool.commands.background",
      message: `Cannot run another command in the background: ${String(running)} of this session run already`,
      hint: "End one with stop_command; list_commands shows them",
    });
  }

  /** Keeps a command so that it can be asked about: one in the background, or one whose output is too long for one answer. */
  keep(started: StartedCommand, background: boolean): KeptCommand {
    const kept: KeptCommand = { ...started, background, stopped: null, cursor: 0 };
    if (background) this.#record(kept);
    this.#kept.set(kept.id, kept);
    this.#forget();
    return kept;
  }

  /** A kept command; INPUT_INVALID when there is none of this id. */
  get(id: string): KeptCommand {
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot find command "${id}": this session has none of this id, or its output is not kept any more`,
      hint: "list_commands shows the ids",
    });
  }

  /** All kept commands, oldest first. */
  all(): readonly KeptCommand[] {
    return [...this.#kept.values()];
  }

  /** How they stand, oldest first. */
  list(): readonly CommandView[] {
    return this.all().map((kept) => ({
      id: kept.id,
      command: kept.line.command,
      state: stateOf(kept),
      exitCode: exitCodeOf(kept.process.end),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const process of this.#running) process[Symbol.dispose]();
    const keeper = await this.#keeper?.catch(() => undefined);
    keeper?.[Symbol.dispose]();
    await Promise.all(this.#recording);
  }

  async #keep(): Promise<void> {
    const before = this.#keeper;
    const keeper = await before?.catch(() => undefined);
    if (keeper?.lost === false) return;
    if (this.#closed) throw sessionEnded();
    // Several calls may find none at once; the first starts it. It serves later calls too, so it does not end with its own.
    if (this.#keeper === before) this.#keeper = Keeper.start(this.#door.host, this.#mark, this.#door.signal);
    await this.#keeper;
  }

  /** A call that is cancelled meanwhile does not cut this off: the command may run already, and could not be found then. */
  async #run(line: CommandLine, mark: string): Promise<MachineCommand> {
    const { command, cwd, stdin } = line;
    const env = { ...line.env, [CALL_VARIABLE]: mark };
    const run = (): Promise<MachineCommand> =>
      MachineCommand.start(
        this.#door.host,
        { argv: [this.#shell, "-c", command], cwd, env, stdin },
        this.#door.signal,
      );
    try {
      return await run();
    } catch (error) {
      const noBash = error instanceof DoorwardError && error.code === "COMMAND_NOT_FOUND";
      if (!noBash || this.#shell === "sh") throw error;
      this.#shell = "sh";
      return await run();
    }
  }

  #forget(): void {
    const ended = this.all().filter(({ process }) => process.end !== undefined);
    for (const { id } of ended.slice(0, Math.max(0, ended.length - MOST_ENDED))) this.#kept.delete(id);
  }

  /** A command in the background outlives the call that started it, so its end is a record of its own. */
  #record(kept: KeptCommand): void {
    const { line, shell, process } = kept;
    const beginning = {
      type: "command",
      execution: this.#door.kind,
      argv: [shell, "-c", line.command],
      program: programOf(line.command, shell),
      cwd: line.cwd,
    } as const;
    const begun = this.#begun(beginning, process);
    const recorded = process.ended.then(async (end) => {
      await begun
        .record({
          ...beginning,
          outcome: outcomeOf(end, this.#closed),
          exitCode: exitCodeOf(end),
          signal: end.kind === "signalled" ? end.signal : null,
          durationMs: process.durationMs,
          stdinBytes: process.bytes.stdin,
          stdoutBytes: process.bytes.stdout,
          stderrBytes: process.bytes.stderr,
          detail: `in the background, as ${kept.id}`,
        })
        .catch(() => undefined);
    });
    this.#recording.add(recorded);
    void recorded.finally(() => this.#recording.delete(recorded));
  }

  /** What can't be noted does not go on. */
  #begun(beginning: DoorBeginning, process: MachineCommand): Begun {
    try {
      return this.#door.host.begin(beginning);
    } catch (error) {
      process[Symbol.dispose]();
      throw error;
    }
  }
}

function sessionEnded(): DoorwardError {
  return new DoorwardError({ code: "ABORTED", message: "Cannot run command: its session ended" });
}

/** How a kept command stands. */
export function stateOf({ process, stopped }: Pick<KeptCommand, "process" | "stopped">): CommandState {
  const { end } = process;
  if (end === undefined) return "running";
  if (stopped === "timed-out") return "timed-out";
  if (stopped === "asked" && end.kind !== "exited") return "stopped";
  return end.kind;
}

/** Exit code of an end; null when it was killed, is lost, or runs. */
export function exitCodeOf(end: CommandEnd | undefined): number | null {
  return end?.kind === "exited" ? end.code : null;
}

function outcomeOf(end: CommandEnd, closed: boolean): "exited" | "signalled" | "cut" | "lost" {
  if (end.kind !== "lost") return end.kind;
  return closed ? "cut" : "lost";
}
