// What OpenClaw spawns for one exec: carries its stdin, output, signals and exit to a command in the machine.
import { connect, type ExecSession } from "@doorward/client";
import { toDoorwardError } from "@doorward/contracts";
import { takeOver } from "./exec-request.ts";
import { exitCode } from "./run-in-machine.ts";

/** Exit code when Doorward, not the command, failed. */
const FAILED = 125;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

process.exitCode = await main();
process.stdin.destroy();

async function main(): Promise<number> {
  try {
    const { url, token, machine, argv, cwd, env } = takeOver(process.argv[2] ?? "");
    await using client = connect({ url, token });
    const session = await client.startExec(machine, argv, {
      stdin: process.stdin,
      stdout: (bytes) => write(process.stdout, bytes),
      stderr: (bytes) => write(process.stderr, bytes),
      cwd,
      env,
    });
    passOnSignals(session);
    return exitCode(await session.done);
  } catch (cause) {
    const { code, message, hint } = toDoorwardError(cause);
    process.stderr.write(`doorward: ${message} (${code})\n${hint === undefined ? "" : `  ${hint}\n`}`);
    return FAILED;
  }
}

function passOnSignals(session: ExecSession): void {
  for (const signal of SIGNALS) process.on(signal, () => session.kill(signal));
}

function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => stream.write(bytes, () => resolve()));
}
