import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineSecretLs } from "./secret-ls.ts";
import { defineSecretRm } from "./secret-rm.ts";
import { defineSecretSet } from "./secret-set.ts";

/** `doorward secret`. */
export function defineSecret(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward secret set NPM_TOKEN\n  pass show npm | doorward secret set NPM_TOKEN\n  doorward up --secret NPM_TOKEN=registry.npmjs.org,authorization",
  );
  defineSecretSet(
    command.command("set").description("set or replace a value, typed unseen or piped to stdin"),
    cli,
  );
  defineSecretLs(command.command("ls").description("list names; values are never shown"), cli);
  defineSecretRm(command.command("rm").description("delete a secret"), cli);
}
