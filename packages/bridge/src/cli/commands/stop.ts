import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { machineCommand, noOptions } from "../machine-action.ts";

/** `doorward stop`. */
export function defineStop(command: Command, cli: Cli): void {
  machineCommand(command, cli, {
    examples: ["doorward stop shop"],
    parse: noOptions,
    act: async (run, client, machine) => {
      const view = await client.call("machines.stop", { params: { machine } }, { signal: run.cli.signal });
      run.output.result(view, () =>
        run.output.commands(`${view.name} is stopped; doorward start ${view.name} launches it again`),
      );
      return 0;
    },
  });
}
