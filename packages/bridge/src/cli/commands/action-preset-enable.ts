import { ActionPreset } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { parseArgument, parseOptions } from "../parse-input.ts";
import { pathArgument } from "../path-argument.ts";
import { leaf } from "../run.ts";

const EnableOptions = z.object({
  executable: z.array(z.string()).min(1).max(10).optional(),
  cwdRoot: z.array(z.string()).min(1).max(20).optional(),
});

/** `doorward action preset enable`. */
export function defineActionPresetEnable(command: Command, cli: Cli): void {
  const collect = (value: string, before: readonly string[] | undefined): string[] => [
    ...(before ?? []),
    value,
  ];
  command
    .argument("<preset>", "name of the preset")
    .option("--executable <path>", "where the program is; the usual places when left out", collect)
    .option("--cwd-root <path>", "folder that may be the working folder; may be repeated", collect);
  const examples = [
    "doorward action preset enable podman",
    "doorward action preset enable git --cwd-root ~/reference",
  ];
  leaf(command, cli, examples, async (run, [given], options) => {
    const preset = parseArgument("preset", ActionPreset, given);
    const { executable, cwdRoot } = parseOptions(EnableOptions, options);
    const paths = (list: readonly string[]): string[] => list.map((path) => pathArgument(cli, path));
    const body = {
      preset,
      ...(executable === undefined ? {} : { executables: paths(executable) }),
      ...(cwdRoot === undefined ? {} : { cwdRoots: paths(cwdRoot) }),
    };
    await using client = await run.client();
    const view = await client.call("policy.preset", { body }, { signal: cli.signal });
    run.output.result(view, () =>
      [
        `Enabled: ${preset}, in ${escapeLine(view.path)}`,
        `Each use is confirmed on this host: doorward action ls`,
      ].join("\n"),
    );
    return 0;
  });
}
