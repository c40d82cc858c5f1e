import type { DoorwardClient, OutputSink } from "@doorward/client";
import type { ExecSignal } from "@doorward/contracts";
import type { TerminalWritable } from "./cli.ts";
import type { ProgramOptions } from "./program-options.ts";
import type { Run } from "./run.ts";
import { exitCodeOf } from "./terminal/exit-code.ts";
import { SequenceFilter } from "./terminal/sequence-filter.ts";

const FORWARDED: readonly (ExecSignal & NodeJS.Signals)[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/**
 * Runs a command in a machine with this process's streams and returns its exit code. Bytes are passed exactly, except
 * to a terminal, which gets them filtered. Signals go to the command; a second one of a kind ends this process.
 */
export async function runCommand(
  run: Run,
  client: DoorwardClient,
  machine: string,
  argv: readonly string[],
  program: ProgramOptions,
): Promise<number> {
  const { stdin, stdout, stderr } = run.cli;
  run.cli.signal.throwIfAborted();
  using out = new Forwarder(stdout);
  using err = new Forwarder(stderr);
  using signals = new SignalForwarder();
  await using session = await client.startExec(machine, argv, {
    stdin: program.stdin ? bytesOf(stdin) : undefined,
    stdout: out.sink,
    stderr: err.sink,
    env: program.env,
    cwd: program.cwd,
    notice: ({ message }) => run.output.info(message),
    signal: signals.impatience,
  });
  signals.deliver((signal) => session.kill(signal));
  return exitCodeOf(await session.done);
}

/** Writes to one of this process's streams as fast as that takes it; a reader that went away takes everything. */
class Forwarder implements Disposable {
  readonly #stream: TerminalWritable;
  readonly #filter: SequenceFilter | undefined;
  #closed = false;

  constructor(stream: TerminalWritable) {
    this.#stream = stream;
    this.#filter = stream.isTTY === true ? new SequenceFilter() : undefined;
    stream.once("error", () => (this.#closed = true));
  }

  readonly sink: OutputSink = (bytes) => {
    const shown = this.#filter?.push(bytes) ?? bytes;
    if (this.#closed || shown.length === 0) return;
    return new Promise((resolve) => this.#stream.write(shown, () => resolve()));
  };

  /** Puts back what the command left changed of the terminal. */
  [Symbol.dispose](): void {
    const undo = this.#filter?.screen.undo() ?? "";
    if (undo !== "" && !this.#closed) this.#stream.write(undo);
  }
}

async function* bytesOf(stream: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    if (chunk instanceof Uint8Array) yield chunk;
    else if (typeof chunk === "string") yield Buffer.from(chunk);
  }
}

/** Hands signals on to the command instead of ending this process; those that come before it runs wait for it. */
class SignalForwarder implements Disposable {
  readonly #impatience = new AbortController();
  readonly #before = FORWARDED.map((name) => [name, process.listeners(name)] as const);
  readonly #waiting: ExecSignal[] = [];
  #send: ((signal: ExecSignal) => void) | undefined;
  #interrupted = false;
  readonly #forward = (name: NodeJS.Signals): void => {
    const signal = FORWARDED.find((known) => known === name);
    if (signal === undefined) return;
    const again = signal === "SIGINT" && this.#interrupted;
    this.#interrupted ||= signal === "SIGINT";
    if (this.#send !== undefined) this.#send(again ? "SIGKILL" : signal);
    else if (again) this.#impatience.abort();
    else this.#waiting.push(signal);
  };

  constructor() {
    for (const name of FORWARDED) process.removeAllListeners(name).on(name, this.#forward);
  }

  /** Aborts when the user interrupts a second time before the command runs. */
  get impatience(): AbortSignal {
    return this.#impatience.signal;
  }

  /** The command runs: it gets what waited, and everything from now on. */
  deliver(send: (signal: ExecSignal) => void): void {
    this.#send = send;
    for (const signal of this.#waiting.splice(0)) send(signal);
  }

  [Symbol.dispose](): void {
    for (const [name, listeners] of this.#before) {
      process.off(name, this.#forward);
      for (const listener of listeners) process.on(name, listener);
    }
  }
}
