import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import { exportEvidence } from "../../evidence/index.ts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { evidenceFolder } from "../evidence-place.ts";
import { parseOptions } from "../parse-input.ts";
import { pathArgument } from "../path-argument.ts";
import { leaf } from "../run.ts";
import { shellWord } from "../shell-word.ts";

const ExportOptions = z.object({
  from: z.string().min(1).max(4096).optional(),
  checkpoint: z.array(z.string().min(1).max(4096)).max(100).optional(),
});

/** `doorward evidence export`. */
export function defineEvidenceExport(command: Command, cli: Cli): void {
  command
    .argument("<dir>", "folder that is empty or not there yet")
    .option("--from <dir>", "folder of a log; this installation's when left out")
    .option(
      "--checkpoint <file...>",
      "checkpoints kept before; the bundle gets a proof that it extends each",
    );
  leaf(command, cli, ["doorward evidence export ./audit"], async (run, [given], options) => {
    const { from, checkpoint } = parseOptions(ExportOptions, options);
    const out = pathArgument(cli, given);
    const dir = await evidenceFolder(cli, from === undefined ? undefined : resolve(cli.cwd, from));
    const older = await Promise.all(
      (checkpoint ?? []).map((path) => readFile(resolve(cli.cwd, path), "utf8")),
    );
    const exported = await exportEvidence({ dir, out, older, signal: run.cli.signal });
    run.output.result(exported, () =>
      [
        `${exported.size} records in ${escapeLine(exported.out)}; its README says how to check them with other tools`,
        ...(exported.copied < exported.referenced
          ? [
              `${exported.referenced - exported.copied} of ${exported.referenced} referenced files are not there any more`,
            ]
          : []),
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
