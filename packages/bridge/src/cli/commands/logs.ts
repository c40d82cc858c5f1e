import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeText } from "@doorward/client/operator";
import { machineCommand } from "../machine-action.ts";
import { parseOptions } from "../parse-input.ts";

const LogsOptions = z.object({ lines: z.coerce.number().int().min(1).max(10_000).default(200) });

/** `doorward logs`. */
export function defineLogs(command: Command, cli: Cli): void {
  command.option("-n, --lines <count>", "how many of the last lines, at most 10000 (default: 200)");
  machineCommand(command, cli, {
    examples: ["doorward logs shop", "doorward logs shop -n 20"],
    parse: (given) => parseOptions(LogsOptions, given),
    act: async (run, client, machine, { lines }) => {
      const input = { params: { machine }, query: { lines } };
      const result = await client.call("machines.logs", input, { signal: run.cli.signal });
      if (result.text === "")
        run.output.info(
          `${machine} has said nothing itself; what its programs do: ${run.output.commands(`doorward evidence ls --machine ${machine}`)}`,
        );
      run.output.result(result, () => (cli.stdout.isTTY === true ? escapeText(result.text) : result.text));
      return 0;
    },
  });
}
