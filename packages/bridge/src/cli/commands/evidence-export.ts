import { resolve } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import { exportEvidence } from "../../evidence/index.ts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "../escape-text.ts";
import { evidenceFolder } from "../evidence-place.ts";
import { parseOptions } from "../parse-input.ts";
import { pathArgument } from "../path-argument.ts";
import { leaf } from "../run.ts";
import { shellWord } from "../shell-word.ts";

const ExportOptions = z.object({ from: z.string().min(1).max(4096).optional() });

/** `doorward evidence export`. */
export function defineEvidenceExport(command: Command, cli: Cli): void {
  command
    .argument("<dir>", "folder that is empty or not there yet")
    .option("--from <dir>", "folder of a log; this installation's when left out");
  leaf(command, cli, ["doorward evidence export ./audit"], async (run, [given], options) => {
    const { from } = parseOptions(ExportOptions, options);
    const out = pathArgument(cli, given);
    const dir = await evidenceFolder(cli, from === undefined ? undefined : resolve(cli.cwd, from));
    const exported = await exportEvidence({ dir, out, signal: run.cli.signal });
    run.output.result(exported, () =>
      [
        `${exported.size} records in ${escapeLine(exported.out)}; its README says how to check them with other tools`,
        `key  ${exported.vkey}`,
        "",
        run.output.commands(
          `  doorward evidence verify ${escapeLine(shellWord(exported.out))} --key ${exported.vkey}`,
        ),
      ].join("\n"),
    );
    return 0;
  });
}
