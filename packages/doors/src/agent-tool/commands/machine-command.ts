import { DoorwardError, type ExecSignal, type ExitStatus } from "@doorward/contracts";
import { GuestCommand, type GuestDialer } from "@doorward/guest";
import { CommandInput } from "./command-input.ts";
import { CommandOutput } from "./command-output.ts";
import { FloodBrake } from "./flood-brake.ts";
import { ModelText } from "./model-text.ts";

/** How a command came to its end. */
export type CommandEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: string }
  /** The machine or its guest went away, or the session ended before it. */
  | { readonly kind: "lost"; readonly reason: string };

/** What to run: a line for a shell, with where and with what. */
export interface CommandRequest {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Whether it has a standard input; empty otherwise. */
  readonly stdin: boolean;
}

/** After it was asked to end, a command has this long before it is killed. */
const GRACE_MS = 2000;

/** One command in the machine: its output as text, its input, its end. Disposing kills its process group. */
export class MachineCommand implements Disposable {
  readonly output = new CommandOutput();
  readonly input: CommandInput | null;
  readonly bytes = { stdin: 0, stdout: 0, stderr: 0 };
  /** Resolves when it ended, or is lost. */
  readonly ended: Promise<CommandEnd>;
  readonly #command: GuestCommand;
  readonly #brake: FloodBrake;
  readonly #began = performance.now();
  readonly #waiting = new Set<() => void>();
  #end: CommandEnd | undefined;
  #durationMs = 0;
  #resolve: (end: CommandEnd) => void = () => undefined;

  /** Starts it; COMMAND_NOT_FOUND or PATH_NOT_FOUND when that can't be. */
  static async start(
    link: GuestDialer,
    request: CommandRequest,
    signal: AbortSignal,
  ): Promise<MachineCommand> {
    const { argv, cwd, env, stdin } = request;
    const command = await GuestCommand.start(
      link,
      { kind: "exec", argv: [...argv], cwd, env: { ...env }, stdin },
      signal,
    );
    return new MachineCommand(command, stdin);
  }

  private constructor(command: GuestCommand, stdin: boolean) {
    this.#command = command;
    this.#brake = new FloodBrake(command);
    this.input = stdin ? new CommandInput(command) : null;
    this.ended = new Promise((resolve) => (this.#resolve = resolve));
    const [out, err] = [new ModelText(), new ModelText()];
    command.listen({
      stdout: (bytes) => this.#wrote("stdout", bytes, out),
      stderr: (bytes) => this.#wrote("stderr", bytes, err),
      credit: (bytes) => this.input?.credit(bytes),
      exit: (status) => {
        this.output.add("stdout", out.end());
        this.output.add("stderr", err.end());
        this.#finish(endOf(status));
      },
      closed: (error) => this.#finish({ kind: "lost", reason: error?.message ?? "its stream was closed" }),
    });
  }

  /** How it ended; undefined while it runs. */
  get end(): CommandEnd | undefined {
    return this.#end;
  }

  /** Milliseconds that it ran, or runs. */
  get durationMs(): number {
    return Math.round(this.#end === undefined ? performance.now() - this.#began : this.#durationMs);
  }

  /** Sends a signal to its whole process group. */
  signal(signal: ExecSignal): void {
    if (this.#end === undefined) this.#command.signal(signal);
  }

  /** Asks its process group to end, and kills it after a moment; resolves when it ended. */
  async stop(): Promise<CommandEnd> {
    this.signal("SIGTERM");
    this.signal("SIGCONT");
    const kill = setTimeout(() => this.signal("SIGKILL"), GRACE_MS);
    const give = setTimeout(() => this[Symbol.dispose](), 2 * GRACE_MS);
    try {
      return await this.ended;
    } finally {
      clearTimeout(kill);
      clearTimeout(give);
    }
  }

  /** Waits until there is output beyond a place, it ended, so long passed, or the signal is aborted. */
  async changed(from: number, ms: number, signal: AbortSignal): Promise<void> {
    if (this.output.total > from || this.#end !== undefined || ms === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Kills it at once. */
  [Symbol.dispose](): void {
    this.signal("SIGKILL");
    this.#brake[Symbol.dispose]();
    this.#command[Symbol.dispose]();
    this.#finish({ kind: "lost", reason: "it was killed, because its session or its call ended" });
  }

  #wrote(stream: "stdout" | "stderr", bytes: Buffer, text: ModelText): void {
    this.bytes[stream] += bytes.length;
    this.#brake.read(bytes.length);
    this.output.add(stream, text.push(bytes));
    for (const wake of [...this.#waiting]) wake();
  }

  #finish(end: CommandEnd): void {
    if (this.#end !== undefined) return;
    this.#durationMs = performance.now() - this.#began;
    this.#end = end;
    this.#brake[Symbol.dispose]();
    this.#resolve(end);
    for (const wake of [...this.#waiting]) wake();
  }
}

function endOf({ code, signal }: ExitStatus): CommandEnd {
  return signal === null ? { kind: "exited", code: code ?? 255 } : { kind: "signalled", signal };
}

/** The error for a command whose machine went away. */
export function lostCommand(reason: string): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: `Cannot go on with command: ${reason}`,
    hint: "Its fate is unknown; look at what it did before running it again",
  });
}
