import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineActionPresetEnable } from "./action-preset-enable.ts";
import { defineActionPresetLs, defineActionPresetShow } from "./action-preset-show.ts";

/** `doorward action preset`: ready process scopes of well-known tools. */
export function defineActionPreset(command: Command, cli: Cli): void {
  defineActionPresetLs(
    command.command("ls").description("list presets, where their programs are, and which are enabled"),
    cli,
  );
  defineActionPresetShow(
    command.command("show").description("show what a preset allows, and what it refuses and why"),
    cli,
  );
  defineActionPresetEnable(
    command.command("enable").description("add a preset to the policy, or change where it works"),
    cli,
  );
}
