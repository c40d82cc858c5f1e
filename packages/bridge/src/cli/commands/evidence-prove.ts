import type { Command } from "commander";
import * as z from "zod";
import { LogFiles, proveConsistency, proveInclusion, tlogProof } from "../../evidence/index.ts";
import type { Cli } from "../cli.ts";
import { evidenceFolder } from "../evidence-place.ts";
import { parseArgument, parseOptions, usage } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { RecordIndex } from "./evidence-show.ts";

const ProveOptions = z.object({
  from: z.string().min(1).max(4096).optional(),
  consistency: z
    .string()
    .regex(/^[1-9][0-9]{0,14}$/, "a size is a whole number from 1")
    .optional(),
});

/** `doorward evidence prove`. */
export function defineEvidenceProve(command: Command, cli: Cli): void {
  command
    .argument("[index]", "index of the record, as evidence ls shows it")
    .option("--from <dir>", "folder of a log or of an export; this installation's log when left out")
    .option("--consistency <size>", "instead: prove that the log extends its own tree of so many records");
  const examples = [
    "doorward evidence prove 12 > launch.tlog-proof",
    "doorward evidence prove --consistency 1200 > since-last-week.json",
  ];
  leaf(command, cli, examples, async (run, [given], options) => {
    const { from, consistency } = parseOptions(ProveOptions, options);
    if ((given === undefined) === (consistency === undefined))
      throw usage("Cannot prove: give either the index of a record or --consistency", "index");
    if (consistency !== undefined) {
      const proof = await proveConsistency(
        new LogFiles(await evidenceFolder(cli, from)),
        Number(consistency),
      );
      run.output.result(proof, () => JSON.stringify(proof, null, 2));
      return 0;
    }
    const index = parseArgument("index", RecordIndex, given);
    const proof = await proveInclusion(new LogFiles(await evidenceFolder(cli, from)), index);
    run.output.result(proof, () => tlogProof(proof));
    return 0;
  });
}
