import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { pathArgument } from "../path-argument.ts";
import { leaf } from "../run.ts";

/** `doorward policy remove`. */
export function definePolicyRemove(command: Command, cli: Cli): void {
  command.argument("<path>", "allowed root");
  leaf(command, cli, ["doorward policy remove ~/src"], async (run, [path]) => {
    const body = { path: pathArgument(cli, path) };
    await using client = await run.client();
    const view = await client.call("policy.remove", { body }, { signal: run.cli.signal });
    run.output.result(view, () => `Removed: ${escapeLine(body.path)}, from ${escapeLine(view.path)}`);
    return 0;
  });
}
