import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { parseOptions } from "../parse-input.ts";
import { pathArgument } from "../path-argument.ts";
import { leaf } from "../run.ts";

const AllowOptions = z.object({ ro: z.boolean().optional() });

/** `doorward policy allow`. */
export function definePolicyAllow(command: Command, cli: Cli): void {
  command.argument("<path>", "folder on the host").option("--ro", "machines may only read under it");
  leaf(
    command,
    cli,
    ["doorward policy allow ~/src", "doorward policy allow ~/reference --ro"],
    async (run, [path], given) => {
      const { ro } = parseOptions(AllowOptions, given);
      const body = { path: pathArgument(cli, path), access: ro === true ? ("ro" as const) : ("rw" as const) };
      await using client = await run.client();
      const view = await client.call("policy.allow", { body }, { signal: run.cli.signal });
      run.output.result(
        view,
        () => `Allowed: ${escapeLine(body.path)} (${body.access}), in ${escapeLine(view.path)}`,
      );
      return 0;
    },
  );
}
