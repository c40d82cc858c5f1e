import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { machineCommand } from "../machine-action.ts";
import { parseOptions } from "../parse-input.ts";

const RmOptions = z.object({ force: z.boolean().optional() });

/** `doorward rm`. */
export function defineRm(command: Command, cli: Cli): void {
  command.option("--force", "drop changes that nobody reviewed");
  machineCommand(command, cli, {
    examples: ["doorward rm shop", "doorward rm shop --force"],
    parse: (given) => parseOptions(RmOptions, given),
    act: async (run, client, machine, { force }) => {
      const query = force === true ? { force: "true" as const } : {};
      const result = await client.call(
        "machines.remove",
        { params: { machine }, query },
        { signal: run.cli.signal },
      );
      run.output.result(result, () => `${machine} is removed`);
      return 0;
    },
  });
}
