import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineContractsLs } from "./contracts-ls.ts";
import { defineContractsShow } from "./contracts-show.ts";
import { defineContractsValidate } from "./contracts-validate.ts";

/** `doorward contracts`. */
export function defineContracts(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward contracts ls\n  doorward contracts show TerminalDoor\n  doorward contracts validate ~/.config/doorward/interfaces/*.yaml",
  );
  defineContractsLs(command.command("ls").description("list the contracts in force for each profile"), cli);
  defineContractsShow(command.command("show").description("show one contract as it is in force"), cli);
  defineContractsValidate(
    command.command("validate").description("judge documents by the published schemas; exits 1 on any fault"),
    cli,
  );
}
