import { Duration, MachineName } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { parseArgument, usage } from "../parse-input.ts";
import { namedMachine, resolveMachine } from "../resolve-machine.ts";
import { leaf } from "../run.ts";
import { stops } from "../up-view.ts";

/** `doorward extend`. */
export function defineExtend(command: Command, cli: Cli): void {
  command
    .usage("[options] [machine] <time>")
    .argument(
      "<machine-or-time>",
      "name or id of the machine, or the time where one machine has the current folder",
    )
    .argument("[time]", "how much more time, e.g. 4h");
  leaf(command, cli, ["doorward extend shop 4h", "doorward extend 4h"], async (run, [first, second]) => {
    if (second === undefined && MachineName.safeParse(first).success && !Duration.safeParse(first).success)
      throw usage(
        "Cannot extend: how much more time is not said",
        "time",
        /^[0-9]+$/.test(String(first))
          ? `doorward extend ${String(first)}h`
          : `doorward extend ${String(first)} 4h`,
      );
    const time = parseArgument("time", Duration, second ?? first);
    const named = namedMachine(second === undefined ? undefined : first);
    await using client = await run.client();
    const machine = await resolveMachine(run, client, named);
    const input = { params: { machine }, body: { for: time } };
    const view = await client.call("machines.extend", input, { signal: run.cli.signal });
    run.output.result(view, () => `${view.name} ${stops(view.expiresAt)}`);
    return 0;
  });
}
