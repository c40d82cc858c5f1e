import { DoorwardError, Duration } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import { approvalText, parseApproval } from "../approval-view.ts";
import type { Cli } from "../cli.ts";
import { canAsk, confirm } from "../confirm.ts";
import { parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { until } from "../times.ts";

const ApproveOptions = z.object({
  for: Duration.optional(),
  yes: z.boolean().optional(),
  digest: z
    .string()
    .regex(/^sha256:[a-f0-9]{64}$/)
    .optional(),
});

/** `doorward action approve`. */
export function defineActionApprove(command: Command, cli: Cli): void {
  command
    .argument("<id>", "id of what waits")
    .option("--for <time>", "how long it holds, for exactly this; once when left out")
    .option("--digest <digest>", "approve only what has this digest, as it was shown")
    .option("-y, --yes", "do not ask again on a terminal");
  const examples = ["doorward action approve a_k3x9q2mz4t", "doorward action approve a_k3x9q2mz4t --for 10m"];
  leaf(command, cli, examples, async (run, [given], options) => {
    const approval = parseApproval(given);
    const { for: time, yes, digest } = parseOptions(ApproveOptions, options);
    await using client = await run.client();
    const { signal } = run.cli;
    const { approvals } = await client.call("approvals.list", {}, { signal });
    const pending = approvals.find(({ id }) => id === approval);
    if (pending === undefined) throw nothing(approval);
    // What is approved is what is shown here, not what waits a moment later.
    if (!run.output.json) cli.stderr.write(`${approvalText(run.output, pending)}\n`);
    if (yes !== true && canAsk(cli) && !(await confirm(cli, "Approve exactly this?"))) return 1;
    const body = { digest: digest ?? pending.digest, ...(time === undefined ? {} : { for: time }) };
    const result = await client.call("approvals.approve", { params: { approval }, body }, { signal });
    run.output.result(result, () =>
      result.expiresAt === null
        ? `Approved ${approval}`
        : `Approved ${approval}; that ends ${until(result.expiresAt)}`,
    );
    return 0;
  });
}

function nothing(id: string): DoorwardError {
  return new DoorwardError({
    code: "APPROVAL_NOT_FOUND",
    message: `Cannot approve "${id}": nothing of this id is pending`,
    hint: "doorward action ls",
  });
}
