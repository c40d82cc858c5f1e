import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineEvidenceExport } from "./evidence-export.ts";
import { defineEvidenceKey } from "./evidence-key.ts";
import { defineEvidenceLs } from "./evidence-ls.ts";
import { defineEvidenceProve } from "./evidence-prove.ts";
import { defineEvidenceShow } from "./evidence-show.ts";
import { defineEvidenceVerify } from "./evidence-verify.ts";
import { defineEvidenceWitness } from "./evidence-witness.ts";

/** `doorward evidence`. */
export function defineEvidence(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward evidence ls --since 1h\n  doorward evidence show 12\n  doorward evidence verify",
  );
  defineEvidenceLs(command.command("ls").description("tell what happened, oldest first"), cli);
  defineEvidenceShow(command.command("show").description("show one record with its envelope"), cli);
  defineEvidenceVerify(
    command.command("verify").description("check signatures, tree and checkpoint, without the bridge"),
    cli,
  );
  defineEvidenceExport(
    command.command("export").description("copy the log into a folder for an auditor"),
    cli,
  );
  defineEvidenceProve(command.command("prove").description("prove that a record is in the log"), cli);
  defineEvidenceKey(command.command("key").description("show or exchange the key that signs"), cli);
  defineEvidenceWitness(
    command.command("witness").description("be, or have, a witness that cosigns checkpoints"),
    cli,
  );
}
