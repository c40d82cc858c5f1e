import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineGrantCreate } from "./grant-create.ts";
import { defineGrantLs } from "./grant-ls.ts";
import { defineGrantNarrow } from "./grant-narrow.ts";
import { defineGrantRenew } from "./grant-renew.ts";
import { defineGrantRevoke } from "./grant-revoke.ts";
import { defineGrantShow } from "./grant-show.ts";

/** `doorward grant`. */
export function defineGrant(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward grant create shop --to ci:nightly --op terminal.exec --for 2h\n  doorward grant ls\n  doorward grant revoke g_2k7x0q9vbn",
  );
  defineGrantCreate(command.command("create").description("mint a grant; its token is shown once"), cli);
  defineGrantLs(command.command("ls").description("list grants"), cli);
  defineGrantShow(command.command("show").description("show one grant"), cli);
  defineGrantNarrow(command.command("narrow").description("mint a narrower child of a grant"), cli);
  defineGrantRenew(command.command("renew").description("give a live grant a new expiry, from now"), cli);
  defineGrantRevoke(
    command.command("revoke").description("revoke a grant, all made from it, and cut their sockets"),
    cli,
  );
}
