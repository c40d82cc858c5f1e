import { createRequire } from "node:module";
import type { IPty } from "node-pty";
import { OutputTap, TERMINAL_SIZE, type BenchTerminal, type TerminalPeer } from "./terminal.ts";

const require = createRequire(import.meta.url);

/** A program in a pseudo-terminal of this process. */
export function openPty(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): BenchTerminal {
  const { spawn } = require("node-pty") as typeof import("node-pty");
  const [program = "", ...args] = argv;
  const pty: IPty = spawn(program, args, { ...TERMINAL_SIZE, cwd: "/", env: { ...env }, encoding: null });
  const tap = new OutputTap();
  // Without an encoding node-pty hands on buffers, which its types don't know.
  pty.onData((data: unknown) => tap.push(data as Uint8Array));
  const ended = new Promise<void>((resolve) => pty.onExit(() => resolve()));
  return {
    write: (keys) => pty.write(keys),
    onData: (listener) => tap.listen(listener),
    ended,
    async [Symbol.asyncDispose]() {
      pty.kill("SIGHUP");
      const killer = setTimeout(() => pty.kill("SIGKILL"), 1000);
      await ended;
      clearTimeout(killer);
    },
  };
}

/** node-pty alone: no process between, no wall. */
export const rawPeer: TerminalPeer = {
  name: "node-pty, no wall",
  open: (argv) => Promise.resolve(openPty(argv)),
};
