import type { PendingApproval } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import { approvalText } from "../approval-view.ts";
import type { Cli } from "../cli.ts";
import { jsonText, type Output } from "../output.ts";
import { parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";

const LsOptions = z.object({ watch: z.boolean().optional() });
const CLEAR = "\u001b[H\u001b[2J";

/** `doorward action ls`. */
export function defineActionLs(command: Command, cli: Cli): void {
  command.option("--watch", "stay, and show what comes and goes");
  leaf(command, cli, ["doorward action ls", "doorward action ls --watch"], async (run, _args, given) => {
    const { watch } = parseOptions(LsOptions, given);
    await using client = await run.client();
    const { signal } = run.cli;
    if (watch !== true) {
      const result = await client.call("approvals.list", {}, { signal });
      run.output.result(result, () => text(run.output, result.approvals));
      return 0;
    }
    const onEvent = (event: { readonly approvals: readonly PendingApproval[] }): void => {
      const clear = cli.stdout.isTTY === true ? CLEAR : "";
      cli.stdout.write(
        run.output.json ? `${jsonText(event)}\n` : `${clear}${text(run.output, event.approvals)}\n`,
      );
    };
    try {
      await client.call("approvals.watch", {}, { signal, onEvent });
    } catch (error) {
      // Ctrl-C is how one leaves.
      if (!signal.aborted) throw error;
    }
    return 0;
  });
}

function text(output: Output, approvals: readonly PendingApproval[]): string {
  if (approvals.length === 0) return "Nothing waits for a decision";
  return approvals.map((pending) => approvalText(output, pending)).join("\n\n");
}
