import { Duration } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { grantCommand } from "../grant-action.ts";
import { parseOptions, usage } from "../parse-input.ts";
import { until } from "../times.ts";

const RenewOptions = z.object({ for: Duration.optional() });

/** `doorward grant renew`. */
export function defineGrantRenew(command: Command, cli: Cli): void {
  command.option("--for <time>", "how long from now, e.g. 8h");
  grantCommand(command, cli, {
    examples: ["doorward grant renew g_4k2j8d0s1q --for 8h"],
    parse: (given) => {
      const { for: time } = parseOptions(RenewOptions, given);
      if (time === undefined) throw usage("Cannot renew: option --for is missing", "--for", "--for 8h");
      return time;
    },
    act: async (run, client, grant, time) => {
      const view = await client.call(
        "grants.renew",
        { params: { grant }, body: { for: time } },
        { signal: run.cli.signal },
      );
      run.output.result(view, () => `${grant} expires ${until(view.grant.expiresAt)}`);
      return 0;
    },
  });
}
