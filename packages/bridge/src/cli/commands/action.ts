import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineActionApprove } from "./action-approve.ts";
import { defineActionDeny } from "./action-deny.ts";
import { defineActionLs } from "./action-ls.ts";
import { defineActionRun } from "./action-run.ts";
import { defineActionShow } from "./action-show.ts";
import { defineActionPreset } from "./action-preset.ts";

/** `doorward action`. */
export function defineAction(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward action run request.json --dry-run\n  doorward action ls --watch\n  doorward action approve a_k3x9q2mz4t --for 10m",
  );
  defineActionRun(command.command("run").description("do, or plan, a privileged action on the host"), cli);
  defineActionShow(command.command("show").description("show how far actions came"), cli);
  defineActionLs(command.command("ls").description("show what waits for your decision"), cli);
  defineActionApprove(command.command("approve").description("approve what waits, once or for a time"), cli);
  defineActionDeny(command.command("deny").description("refuse what waits, for good"), cli);
  defineActionPreset(command.command("preset").description("ready scopes of well-known tools"), cli);
}
