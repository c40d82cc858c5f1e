import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineImageBuild } from "./image-build.ts";
import { defineImageLs } from "./image-ls.ts";
import { defineImagePrune } from "./image-prune.ts";

/** `doorward image`. */
export function defineImage(command: Command, cli: Cli): void {
  command.addHelpText("after", "\nExamples:\n  doorward image build\n  doorward image prune");
  defineImageBuild(
    command.command("build").description("build the machine image of a profile when it is absent"),
    cli,
  );
  defineImageLs(command.command("ls").description("list images"), cli);
  defineImagePrune(command.command("prune").description("remove images that no machine uses"), cli);
}
