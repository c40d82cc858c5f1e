import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";
import { until } from "../times.ts";

const GrantLsOptions = z.object({ all: z.boolean().optional() });

/** `doorward grant ls`. */
export function defineGrantLs(command: Command, cli: Cli): void {
  command.option("-a, --all", "ended ones too");
  leaf(command, cli, ["doorward grant ls", "doorward grant ls --all"], async (run, _args, given) => {
    const { all } = parseOptions(GrantLsOptions, given);
    await using client = await run.client();
    const query = all === true ? { all: "true" as const } : {};
    const result = await client.call("grants.list", { query }, { signal: run.cli.signal });
    run.output.result(result, () =>
      result.grants.length === 0
        ? "No grants"
        : table(
            ["GRANT", "STATUS", "SUBJECT", "MACHINE", "OPERATIONS", "EXPIRES"],
            result.grants.map(({ grant, status, implicit, machineName }) => [
              grant.grantId,
              implicit ? `${status}, implicit` : status,
              grant.subject,
              machineName ?? grant.machine,
              grant.operations.join(","),
              until(grant.expiresAt),
            ]),
          ),
    );
    return 0;
  });
}
