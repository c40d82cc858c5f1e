import { spawn } from "node:child_process";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseOptions } from "../parse-input.ts";
import { namedMachine, resolveMachine } from "../resolve-machine.ts";
import { leaf, runsChild } from "../run.ts";
import { shellWord } from "../shell-word.ts";
import { writeSshFiles } from "../ssh/files.ts";
import { opensshMissing } from "../ssh/keys.ts";
import { SSH_SUFFIX } from "../ssh/place.ts";
import { exitCodeOf } from "../terminal/exit-code.ts";

const SshOptions = z.object({ tty: z.boolean().optional() });

/** `doorward ssh`. */
export function defineSsh(command: Command, cli: Cli): void {
  command
    .usage("[options] [machine] [-- CMD [ARG...]]")
    .argument("[machine]", "name or id; may be left out where one machine has the current folder")
    .option("-t, --tty", "give the command a terminal; a shell always has one");
  leaf(
    command,
    cli,
    ["doorward ssh shop", "doorward ssh shop -- npm test", "doorward ssh shop -t -- htop"],
    runsChild(async (run, [machine], options) => {
      const { tty } = parseOptions(SshOptions, options);
      const named = namedMachine(machine);
      const place = await writeSshFiles(run.cli);
      const name = named ?? (await onlyMachine(run));
      const words = cli.passthrough.map(shellWord);
      const args = ["-F", place.config, ...(tty === true ? ["-t"] : []), `${name}${SSH_SUFFIX}`, ...words];
      return await runSsh(run.cli, args);
    }),
  );
}

async function onlyMachine(run: Parameters<typeof resolveMachine>[0]): Promise<string> {
  await using client = await run.client();
  return await resolveMachine(run, client, undefined);
}

/** Runs the host's `ssh` on this process's own streams and answers its exit code. */
function runSsh(cli: Cli, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn("ssh", [...args], { stdio: "inherit", env: { ...cli.env } });
    cli.signal.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
    child.once("error", (cause) =>
      reject("code" in cause && cause.code === "ENOENT" ? opensshMissing("ssh") : cause),
    );
    child.once("close", (code, signal) => resolve(exitCodeOf({ code, signal })));
  });
}
