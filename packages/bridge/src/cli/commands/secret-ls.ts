import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";

/** `doorward secret ls`. */
export function defineSecretLs(command: Command, cli: Cli): void {
  leaf(command, cli, ["doorward secret ls"], async (run) => {
    await using client = await run.client();
    const result = await client.call("secrets.list", {}, { signal: run.cli.signal });
    run.output.result(result, () =>
      result.secrets.length === 0
        ? run.output.commands("No secrets; doorward secret set NAME stores one")
        : table(
            ["SECRET", "SET", "USED BY"],
            result.secrets.map(({ name, setAt, usedBy }) => [name, setAt, usedBy.join(", ")]),
          ),
    );
    return 0;
  });
}
