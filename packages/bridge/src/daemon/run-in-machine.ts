import type { Writable } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import { GuestCommand, type ExecOpen, type GuestDialer } from "@doorward/guest";
import type { RunInMachine } from "../machines/review/index.ts";

const STDERR_BYTES = 8_192;

/** Runs commands of the bridge itself in a machine, their output streamed to a writable with back-pressure. */
export function runInMachine(link: GuestDialer): RunInMachine {
  return async (argv, { output, milliseconds, signal: outer }) => {
    const signal = AbortSignal.any([
      AbortSignal.timeout(milliseconds),
      ...(outer === undefined ? [] : [outer]),
    ]);
    const open: ExecOpen = { kind: "exec", argv: [...argv], cwd: null, env: {}, stdin: false };
    using command = await GuestCommand.start(link, open, signal);
    return await finished(command, output, signal);
  };
}

function finished(
  command: GuestCommand,
  output: Writable,
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    let stderr = Buffer.alloc(0);
    signal.addEventListener("abort", () => reject(timedOut(signal)), { once: true });
    output.once("error", reject);
    output.on("drain", () => command.resume());
    command.listen({
      stdout: (bytes) => {
        if (!output.write(bytes)) command.pause();
      },
      stderr: (bytes) => {
        stderr = Buffer.concat([stderr, bytes]).subarray(-STDERR_BYTES);
      },
      credit: () => undefined,
      exit: ({ code }) => resolve({ exitCode: code ?? -1, stderr: stderr.toString("utf8") }),
      closed: (error) => reject(error ?? lost()),
    });
  });
}

function timedOut(signal: AbortSignal): DoorwardError {
  const message = "A command of the bridge in a machine was stopped before it ended";
  return new DoorwardError({ code: "TIMED_OUT", message, cause: signal.reason });
}

function lost(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "The machine's guest went away during a command",
  });
}
