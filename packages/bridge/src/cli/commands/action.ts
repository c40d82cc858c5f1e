import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineActionApprove } from "./action-approve.ts";
import { defineActionDeny } from "./action-deny.ts";
import { defineActionLs } from "./action-ls.ts";

/** `doorward action`. */
export function defineAction(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward action ls --watch\n  doorward action approve a_k3x9q2mz4t --for 10m",
  );
  defineActionLs(command.command("ls").description("show what waits for your decision"), cli);
  defineActionApprove(command.command("approve").description("approve what waits, once or for a time"), cli);
  defineActionDeny(command.command("deny").description("refuse what waits, for good"), cli);
}
