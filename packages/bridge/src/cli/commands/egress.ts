import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineEgressAllow } from "./egress-allow.ts";
import { defineEgressDeny } from "./egress-deny.ts";
import { defineEgressLs } from "./egress-ls.ts";
import { defineEgressWatch } from "./egress-watch.ts";

/** `doorward egress`. */
export function defineEgress(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward egress ls shop\n  doorward egress allow shop registry.npmjs.org --for 1h\n  doorward egress watch shop",
  );
  defineEgressLs(
    command.command("ls").description("show what a machine may reach, and what it was refused"),
    cli,
  );
  defineEgressAllow(command.command("allow").description("let a machine reach a host"), cli);
  defineEgressDeny(
    command.command("deny").description("close a host for a machine, live connections too"),
    cli,
  );
  defineEgressWatch(command.command("watch").description("show a machine's traffic as it happens"), cli);
}
