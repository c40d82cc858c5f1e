import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { grantCommand } from "../grant-action.ts";
import { parseOptions } from "../parse-input.ts";

const RevokeOptions = z.object({ reason: z.string().min(1).max(300).optional() });

/** `doorward grant revoke`. */
export function defineGrantRevoke(command: Command, cli: Cli): void {
  command.option("--reason <text>", "why; it is shown to the holder and recorded");
  grantCommand(command, cli, {
    examples: [
      "doorward grant revoke g_4k2j8d0s1q",
      'doorward grant revoke g_4k2j8d0s1q --reason "laptop lost"',
    ],
    parse: (given) => parseOptions(RevokeOptions, given),
    act: async (run, client, grant, { reason }) => {
      const body = reason === undefined ? {} : { reason };
      const result = await client.call(
        "grants.revoke",
        { params: { grant }, body },
        { signal: run.cli.signal },
      );
      run.output.result(
        result,
        () =>
          `Revoked ${result.revoked.join(", ") || "nothing new"}; ${result.closedSockets === 1 ? "1 socket was" : `${result.closedSockets} sockets were`} closed`,
      );
      return 0;
    },
  });
}
