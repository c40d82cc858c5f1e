import type { Command } from "commander";
import * as z from "zod";
import { LogFiles, proveInclusion, tlogProof } from "../../evidence/index.ts";
import type { Cli } from "../cli.ts";
import { evidenceFolder } from "../evidence-place.ts";
import { parseArgument, parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { RecordIndex } from "./evidence-show.ts";

const ProveOptions = z.object({ from: z.string().min(1).max(4096).optional() });

/** `doorward evidence prove`. */
export function defineEvidenceProve(command: Command, cli: Cli): void {
  command
    .argument("<index>", "index of the record, as evidence ls shows it")
    .option("--from <dir>", "folder of a log or of an export; this installation's log when left out");
  leaf(command, cli, ["doorward evidence prove 12 > launch.tlog-proof"], async (run, [given], options) => {
    const index = parseArgument("index", RecordIndex, given);
    const { from } = parseOptions(ProveOptions, options);
    const proof = await proveInclusion(new LogFiles(await evidenceFolder(cli, from)), index);
    run.output.result(proof, () => tlogProof(proof));
    return 0;
  });
}
