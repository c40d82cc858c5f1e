import { DoorwardError, type ExitStatus } from "@doorward/contracts";
import type { GuestDialer } from "../link.ts";
import { abortError } from "./abort-error.ts";
import { GuestCommand } from "./guest-command.ts";

/** A command that runs to its end, its output kept in memory up to a limit. */
export interface RunRequest {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Buffer;
  /** Largest stdout and largest stderr, in bytes; 16 MiB when absent. Beyond it the command is killed. */
  readonly maxBytes?: number;
}

/** How a command ended and what it wrote, as reported by the machine. */
export interface RunResult extends ExitStatus {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const DEFAULT_MAX_BYTES = 16_777_216;

/** Runs a command in a machine to its end; aborting kills its process group. */
export async function runCommand(
  link: GuestDialer,
  request: RunRequest,
  signal: AbortSignal,
): Promise<RunResult> {
  const command = await GuestCommand.start(
    link,
    {
      kind: "exec",
      argv: [...request.argv],
      cwd: request.cwd ?? null,
      env: { ...request.env },
      stdin: request.stdin !== undefined,
    },
    signal,
  );
  try {
    return await collect(command, request, signal);
  } finally {
    command[Symbol.dispose]();
  }
}

function collect(command: GuestCommand, request: RunRequest, signal: AbortSignal): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const program = request.argv[0] ?? "";
    const max = request.maxBytes ?? DEFAULT_MAX_BYTES;
    const stdout = new Gathered(max, () => reject(tooMuch(program, max)));
    const stderr = new Gathered(max, () => reject(tooMuch(program, max)));
    const stdin = new Feed(command, request.stdin);
    signal.addEventListener("abort", () => reject(abortError(signal)), { once: true });
    if (signal.aborted) reject(abortError(signal));
    command.listen({
      stdout: (bytes) => stdout.add(bytes),
      stderr: (bytes) => stderr.add(bytes),
      credit: (bytes) => stdin.credit(bytes),
      exit: (status) => resolve({ ...status, stdout: stdout.bytes(), stderr: stderr.bytes() }),
      closed: (error) => reject(error ?? lost(program)),
    });
    stdin.credit(command.started.stdinWindow);
  });
}

/** Sends a buffer as stdin within the credit. */
class Feed {
  readonly #command: GuestCommand;
  readonly #bytes: Buffer | undefined;
  #at = 0;
  #room = 0;

  constructor(command: GuestCommand, bytes: Buffer | undefined) {
    this.#command = command;
    this.#bytes = bytes;
  }

  credit(bytes: number): void {
    if (this.#bytes === undefined) return;
    this.#room += bytes;
    const end = Math.min(this.#bytes.length, this.#at + this.#room);
    const done = this.#at === this.#bytes.length && this.#at > 0;
    this.#command.stdin(this.#bytes.subarray(this.#at, end));
    this.#room -= end - this.#at;
    this.#at = end;
    if (end === this.#bytes.length && !done) this.#command.endStdin();
  }
}

class Gathered {
  readonly #max: number;
  readonly #overflow: () => void;
  readonly #parts: Buffer[] = [];
  #length = 0;

  constructor(max: number, overflow: () => void) {
    this.#max = max;
    this.#overflow = overflow;
  }

  add(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > this.#max) this.#overflow();
    else this.#parts.push(part);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function tooMuch(program: string, max: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot keep output of "${program}": it is over ${String(max)} bytes`,
  });
}

function lost(program: string): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: `Cannot run "${program}": the machine's guest closed the stream before the command ended`,
  });
}
