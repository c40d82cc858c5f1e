import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addProgramOptions, parseProgram } from "../program-options.ts";
import { usage } from "../parse-input.ts";
import { namedMachine, resolveMachine } from "../resolve-machine.ts";
import { leaf, runsChild } from "../run.ts";
import { runCommand } from "../run-command.ts";

/** `doorward exec`. */
export function defineExec(command: Command, cli: Cli): void {
  command
    .usage("[options] [machine] -- CMD [ARG...]")
    .argument("[machine]", "name or id; may be left out where one machine has the current folder");
  addProgramOptions(command).option("--no-stdin", "give the command an empty stdin");
  leaf(
    command,
    cli,
    [
      "doorward exec -- npm test",
      "doorward exec shop -- tar c . > shop.tar",
      "echo hello | doorward exec shop -- cat",
    ],
    runsChild(async (run, [machine], options) => {
      const named = namedMachine(machine);
      const argv = requireProgram(cli, "exec");
      const program = parseProgram(options);
      await using client = await run.client();
      return await runCommand(run, client, await resolveMachine(run, client, named), argv, program);
    }),
  );
}

/** The program after `--`; without one the command line is wrong. */
export function requireProgram(cli: Cli, command: string): readonly string[] {
  if (cli.passthrough.length > 0) return cli.passthrough;
  throw usage(
    `Cannot run: no command is given after "--"`,
    "CMD",
    `doorward ${command} [${command === "run" ? "repo" : "machine"}] -- CMD`,
  );
}
