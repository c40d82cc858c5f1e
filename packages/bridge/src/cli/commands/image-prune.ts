import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { leaf } from "../run.ts";

/** `doorward image prune`. */
export function defineImagePrune(command: Command, cli: Cli): void {
  leaf(command, cli, ["doorward image prune"], async (run) => {
    await using client = await run.client({ ready: true });
    const result = await client.call("images.prune", {}, { signal: run.cli.signal });
    run.output.result(result, () =>
      result.removed.length === 0
        ? "Nothing to remove"
        : result.removed.map((tag) => `removed ${tag}`).join("\n"),
    );
    return 0;
  });
}
