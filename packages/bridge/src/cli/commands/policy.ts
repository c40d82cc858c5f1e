import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { definePolicyAllow } from "./policy-allow.ts";
import { definePolicyCheck, definePolicyExplain } from "./policy-check.ts";
import { definePolicyRemove } from "./policy-remove.ts";
import { definePolicyShow } from "./policy-show.ts";

/** `doorward policy`. */
export function definePolicy(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward policy allow ~/src\n  doorward policy explain ~/.ssh\n  doorward policy show",
  );
  definePolicyShow(command.command("show").description("show the policy in force"), cli);
  definePolicyCheck(
    command
      .command("check")
      .description("whether the policy is valid, or a path may be given to a machine; exits 3 when not"),
    cli,
  );
  definePolicyExplain(
    command.command("explain").description("which rule decides on a path, why, and what would change it"),
    cli,
  );
  definePolicyAllow(command.command("allow").description("add an allowed root"), cli);
  definePolicyRemove(
    command.command("remove").description("remove an allowed root; machines that used it are cut"),
    cli,
  );
}
