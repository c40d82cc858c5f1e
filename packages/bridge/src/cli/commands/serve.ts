import { spawn } from "node:child_process";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { daemonCommand, daemonEnvironment } from "../daemon-command.ts";
import { leaf } from "../run.ts";
import { exitCodeOf } from "../terminal/exit-code.ts";

/** `doorward serve`. */
export function defineServe(command: Command, cli: Cli): void {
  leaf(command, cli, ["doorward serve", "systemd-run --user doorward serve"], async (run) => {
    const { program, args } = daemonCommand();
    const child = spawn(program, args, { stdio: "inherit", env: daemonEnvironment(run.cli.env) });
    const ended = new Promise<number>((resolve, reject) => {
      child.once("exit", (code, signal) => resolve(exitCodeOf({ code, signal })));
      child.once("error", reject);
    });
    // A terminal's Ctrl-C reaches the bridge by itself; a second SIGTERM does it no harm.
    run.cli.signal.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
    return ended;
  });
}
