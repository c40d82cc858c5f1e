import { SecretName } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { leaf } from "../run.ts";
import { readSecretValue, secretArgument } from "../secret-input.ts";

/** `doorward secret set`. */
export function defineSecretSet(command: Command, cli: Cli): void {
  command.argument("<secret>", "name of the secret, e.g. ANTHROPIC_API_KEY");
  leaf(
    command,
    cli,
    ["doorward secret set ANTHROPIC_API_KEY", "pass show npm | doorward secret set NPM_TOKEN"],
    async (run, [name]) => {
      const secret = secretArgument(name, SecretName);
      const value = await readSecretValue(run.cli, secret);
      await using client = await run.client();
      const result = await client.call(
        "secrets.set",
        { params: { secret }, body: { value } },
        { signal: run.cli.signal },
      );
      run.output.result(result, () =>
        run.output.commands(
          `Secret ${secret} is ${result.replaced ? "replaced" : "set"}; ` +
            `give it to a machine: doorward up --secret ${secret}=HOST,HEADER`,
        ),
      );
      return 0;
    },
  );
}
