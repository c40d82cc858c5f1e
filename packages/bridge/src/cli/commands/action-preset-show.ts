import {
  ACTION_PRESETS,
  ActionPreset,
  type ActionPolicy,
  type CommandRule,
  type FlagRule,
  type ProcessScope,
} from "@doorward/contracts";
import type { Command } from "commander";
import { valueWords } from "../../actions/arguments/check-value.ts";
import { ACTION_PRESET_SPECS, type PresetSpec } from "../../actions/presets/index.ts";
import { foundPlaces, presetScope } from "../../actions/scopes/process-scopes.ts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { parseArgument } from "../parse-input.ts";
import { leaf, type Run } from "../run.ts";
import { table } from "../table.ts";

type EnabledPreset = NonNullable<ActionPolicy["presets"]>[number];

/** `doorward action preset ls`. */
export function defineActionPresetLs(command: Command, cli: Cli): void {
  leaf(command, cli, ["doorward action preset ls"], async (run) => {
    const enabled = await enabledPresets(run);
    const presets = ACTION_PRESETS.map((preset) => {
      const spec = ACTION_PRESET_SPECS[preset];
      const entry = enabled.find((each) => each.preset === preset);
      return {
        preset,
        found: entry?.executables ?? foundPlaces(spec),
        enabled: entry !== undefined,
        summary: spec.summary,
      };
    });
    run.output.result({ presets }, () =>
      table(
        ["PRESET", "PROGRAM", "ENABLED"],
        presets.map(({ preset, found, enabled: on }) => [
          preset,
          found.join(", ") || "not found",
          on ? "yes" : "no",
        ]),
      ),
    );
    return 0;
  });
}

/** `doorward action preset show`. */
export function defineActionPresetShow(command: Command, cli: Cli): void {
  command.argument("<preset>", "name of the preset");
  leaf(command, cli, ["doorward action preset show kubectl"], async (run, [given]) => {
    const preset = parseArgument("preset", ActionPreset, given);
    const spec = ACTION_PRESET_SPECS[preset];
    const entry = (await enabledPresets(run)).find((each) => each.preset === preset);
    const scope = presetScope(entry ?? { preset });
    const { examples, refused, configuration, summary } = spec;
    const view = { preset, enabled: entry !== undefined, summary, scope, examples, refused, configuration };
    run.output.result(view, () => text(preset, spec, scope, entry !== undefined));
    return 0;
  });
}

async function enabledPresets(run: Run): Promise<readonly EnabledPreset[]> {
  await using client = await run.client();
  const { policy } = await client.call("policy.show", {}, { signal: run.cli.signal });
  return policy.actions?.presets ?? [];
}

function text(preset: ActionPreset, spec: PresetSpec, scope: ProcessScope, enabled: boolean): string {
  return [
    `${preset}: ${spec.summary}`,
    enabled ? "enabled" : `not enabled: doorward action preset enable ${preset}`,
    "",
    `programs: ${scope.executables.map(({ path }) => escapeLine(path)).join(", ")}`,
    `working folders: ${scope.cwdRoots.map(escapeLine).join(", ") || "an empty one of Doorward's"}`,
    `time limit: ${scope.timeoutSeconds} s`,
    ...((scope.globalFlags ?? []).length === 0
      ? []
      : ["", "before the command:", ...flagLines(scope.globalFlags)]),
    "",
    "allowed:",
    ...scope.commands.flatMap(commandLines),
    "",
    "refused, with everything else:",
    ...grouped(spec).flatMap(([why, lines]) => [
      `  ${why}:`,
      ...lines.map((line) => `    ${escapeLine(line)}`),
    ]),
  ].join("\n");
}

function grouped({ refused }: PresetSpec): [string, string[]][] {
  const reasons = new Map<string, string[]>();
  for (const { line, why } of refused) reasons.set(why, [...(reasons.get(why) ?? []), line]);
  return [...reasons];
}

function commandLines(rule: CommandRule): string[] {
  const programs = rule.programs === undefined ? "" : `${rule.programs.join(", ")}: `;
  const { operands } = rule;
  const takes =
    operands === undefined
      ? ""
      : `  (${operands.min} to ${operands.max} operands: ${operandWords(operands)})`;
  const confirm = rule.effect === "write" ? "  [writes: always confirmed]" : "";
  return [`  ${programs}${rule.words.join(" ")}${takes}${confirm}`, ...flagLines(rule.flags)];
}

function operandWords({ first, value }: NonNullable<CommandRule["operands"]>): string {
  return [...(first ?? []), value].map(valueWords).join(", then ");
}

function flagLines(flags: readonly FlagRule[] | undefined): string[] {
  return (flags ?? []).map(({ names, value, repeat }) => {
    const takes = value === undefined ? "" : `  ${valueWords(value)}`;
    return `      ${names.join(", ")}${takes}${repeat === true ? ", more than once" : ""}`;
  });
}
