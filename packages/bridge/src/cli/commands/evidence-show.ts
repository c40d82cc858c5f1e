import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseArgument } from "../parse-input.ts";
import { recordRows } from "../record-view.ts";
import { leaf } from "../run.ts";
import { fields } from "../table.ts";

/** Index of a record. */
export const RecordIndex = z
  .string()
  .regex(/^[0-9]{1,15}$/, "an index is a whole number from 0")
  .transform(Number);

/** `doorward evidence show`. */
export function defineEvidenceShow(command: Command, cli: Cli): void {
  command.argument("<index>", "index of the record, as evidence ls shows it");
  leaf(
    command,
    cli,
    ["doorward evidence show 0", "doorward evidence show 12 --json | jq .envelope"],
    async (run, [given]) => {
      const index = parseArgument("index", RecordIndex, given);
      await using client = await run.client();
      const record = await client.call("evidence.show", { params: { index } }, { signal: run.cli.signal });
      run.output.result(record, () => fields(recordRows(record.statement)));
      return 0;
    },
  );
}
