import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { grantCommand } from "../grant-action.ts";
import { showGrant } from "../grant-view.ts";

/** `doorward grant show`. */
export function defineGrantShow(command: Command, cli: Cli): void {
  grantCommand(command, cli, {
    examples: ["doorward grant show g_4k2j8d0s1q"],
    parse: () => undefined,
    act: async (run, client, grant) => {
      const view = await client.call("grants.get", { params: { grant } }, { signal: run.cli.signal });
      run.output.result(view, () => showGrant(view));
      return 0;
    },
  });
}
