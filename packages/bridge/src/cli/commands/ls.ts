import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";
import { ago, until } from "../times.ts";
import { stateOf } from "../up-view.ts";

/** `doorward ls`. */
export function defineLs(command: Command, cli: Cli): void {
  leaf(command, cli, ["doorward ls", "doorward ls --json | jq -r '.machines[].name'"], async (run) => {
    await using client = await run.client();
    const result = await client.call("machines.list", {}, { signal: run.cli.signal });
    run.output.result(result, () =>
      result.machines.length === 0
        ? run.output.commands("No machines; doorward up launches one on the repo of the current folder")
        : table(
            ["NAME", "STATE", "PROFILE", "REPOS", "STARTED", "STOPS"],
            result.machines.map((machine) => [
              machine.name,
              stateOf(machine),
              machine.profile,
              machine.repos.map(({ hostPath, access }) => `${hostPath}:${access}`).join(" "),
              ago(machine.startedAt),
              until(machine.expiresAt),
            ]),
          ),
    );
    return 0;
  });
}
