import type { Command } from "commander";
import * as z from "zod";
import { parseApproval } from "../approval-view.ts";
import type { Cli } from "../cli.ts";
import { parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";

const DenyOptions = z.object({ reason: z.string().max(500).optional() });

/** `doorward action deny`. */
export function defineActionDeny(command: Command, cli: Cli): void {
  command
    .argument("<id>", "id of what waits")
    .option("--reason <text>", "why, for whoever asked and for the record; never a secret");
  const examples = ["doorward action deny a_k3x9q2mz4t --reason 'not on this branch'"];
  leaf(command, cli, examples, async (run, [given], options) => {
    const approval = parseApproval(given);
    const { reason } = parseOptions(DenyOptions, options);
    await using client = await run.client();
    const input = { params: { approval }, body: reason === undefined ? {} : { reason } };
    const result = await client.call("approvals.deny", input, { signal: run.cli.signal });
    run.output.result(result, () => `Refused ${approval}`);
    return 0;
  });
}
