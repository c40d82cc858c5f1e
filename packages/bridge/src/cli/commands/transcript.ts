import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineTranscriptExport } from "./transcript-export.ts";
import { defineTranscriptLs } from "./transcript-ls.ts";
import { defineTranscriptPlay } from "./transcript-play.ts";

/** `doorward transcript`. */
export function defineTranscript(command: Command, cli: Cli): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  doorward transcript ls shop\n  doorward transcript play s_4kq0v2m8xw --idle-limit 1s",
  );
  defineTranscriptLs(command.command("ls").description("list transcripts, oldest first"), cli);
  defineTranscriptPlay(command.command("play").description("play a transcript in this terminal"), cli);
  defineTranscriptExport(
    command.command("export").description("copy a transcript out, checked against its evidence"),
    cli,
  );
}
