import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";
import { ago, size } from "../times.ts";

/** `doorward image ls`. */
export function defineImageLs(command: Command, cli: Cli): void {
  leaf(command, cli, ["doorward image ls"], async (run) => {
    await using client = await run.client({ ready: true });
    const result = await client.call("images.list", {}, { signal: run.cli.signal });
    run.output.result(result, () =>
      result.images.length === 0
        ? run.output.commands("No images; doorward image build makes one")
        : table(
            ["IMAGE", "SIZE", "MADE", "FOR NEW MACHINES"],
            result.images.map((image) => [
              image.tag,
              size(image.sizeBytes),
              ago(image.createdAt),
              image.current ? "yes" : "no",
            ]),
          ),
    );
    return 0;
  });
}
