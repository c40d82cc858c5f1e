import { SecretName } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { secretArgument } from "../secret-input.ts";

const RmOptions = z.object({ force: z.boolean().optional() });

/** `doorward secret rm`. */
export function defineSecretRm(command: Command, cli: Cli): void {
  command
    .argument("<secret>", "name of the secret")
    .option("--force", "delete it although a machine uses it; its requests fail from then on");
  leaf(command, cli, ["doorward secret rm NPM_TOKEN"], async (run, [name], given) => {
    const { force } = parseOptions(RmOptions, given);
    const secret = secretArgument(name, SecretName);
    const query = force === true ? { force: "true" as const } : {};
    await using client = await run.client();
    const result = await client.call(
      "secrets.remove",
      { params: { secret }, query },
      { signal: run.cli.signal },
    );
    run.output.result(result, () => `Secret ${secret} is deleted`);
    return 0;
  });
}
