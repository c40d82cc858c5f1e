import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineTranscriptExport } from "./transcript-export.ts";
import { defineTranscriptLs } from "./transcript-ls.ts";
import { defineTranscriptPlay } from "./transcript-play.ts";

/** `doorward transcript`. */
export function defineTranscript(command: Command, cli: Cli): void {
  defineTranscriptLs(command.command("ls").description("list transcripts, oldest first"), cli);
  defineTranscriptPlay(command.command("play").description("play a transcript in this terminal"), cli);
  defineTranscriptExport(
    command.command("export").description("copy a transcript out, checked against its evidence"),
    cli,
  );
}
