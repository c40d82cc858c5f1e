import type { DoorwardClient } from "@doorward/client";
import type { Command } from "commander";
import type { LinkNeeds } from "./bridge-link.ts";
import type { Cli } from "./cli.ts";
import { Output } from "./output.ts";

/** One invocation of one command: its process, its output, and the bridge when it needs one. */
export interface Run {
  readonly cli: Cli;
  readonly output: Output;
  /** A client of the bridge; a bridge is started on demand. */
  client(needs?: LinkNeeds): Promise<DoorwardClient>;
}

/** What a command does; its number is the exit code, 0 when it returns none. */
export type Action = (run: Run, args: readonly unknown[], options: unknown) => Promise<number | undefined>;

/** Adds what every command has (`--json`, `--no-color`, an example in its help) and what it does. */
export function leaf(command: Command, cli: Cli, examples: readonly string[], action: Action): Command {
  return command
    .option("--json", "print the document as JSON; errors too, as problem documents on stderr")
    .option("--no-color", "no colours")
    .addHelpText("after", `\nExamples:\n${examples.map((example) => `  ${example}`).join("\n")}`)
    .action(async () => {
      const { json, color, ...options } = command.optsWithGlobals<Record<string, unknown>>();
      const output = new Output(cli, { json: json === true, color: color !== false });
      try {
        cli.exitCode = (await action(makeRun(cli, output), command.processedArgs, options)) ?? 0;
      } catch (thrown) {
        const { reportError } = await import("./report-error.ts");
        cli.exitCode = await reportError(thrown, cli, output);
      }
    });
}

/**
 * For commands that exit with a child's code: a fault of Doorward is 125, a program that does not exist 127. A wrong
 * command line stays 2 and a refusal 3, because then no child ran.
 */
export function runsChild(action: Action): Action {
  return async (run, args, options) => {
    try {
      return await action(run, args, options);
    } catch (thrown) {
      const { reportError } = await import("./report-error.ts");
      return childCode(thrown, await reportError(thrown, run.cli, run.output));
    }
  };
}

function childCode(thrown: unknown, own: number): number {
  if (own === 2 || own === 3) return own;
  const missing = thrown instanceof Error && "code" in thrown && thrown.code === "COMMAND_NOT_FOUND";
  return missing ? 127 : 125;
}

function makeRun(cli: Cli, output: Output): Run {
  return {
    cli,
    output,
    client: async (needs) => {
      const { openClient } = await import("./bridge-link.ts");
      return openClient(cli, output, needs);
    },
  };
}
