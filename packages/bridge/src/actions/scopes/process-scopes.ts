import { existsSync } from "node:fs";
import type { ActionPolicy, ProcessScope } from "@doorward/contracts";
import { ACTION_PRESET_SPECS, type PresetSpec } from "../presets/index.ts";

type EnabledPreset = NonNullable<ActionPolicy["presets"]>[number];

/** Every process scope of a policy, those of its presets too, in the order of the file; nothing by default. */
export function processScopes(actions: ActionPolicy | undefined): readonly ProcessScope[] {
  const own = actions?.processes ?? [];
  const presets = (actions?.presets ?? []).map((enabled) => presetScope(enabled));
  return [...own, ...presets];
}

/** The process scope that a preset of the policy stands for. */
export function presetScope(enabled: EnabledPreset): ProcessScope {
  const spec = ACTION_PRESET_SPECS[enabled.preset];
  const places = enabled.executables ?? spec.places;
  return {
    ...spec.scope,
    id: enabled.preset,
    executables: places.map((path) => ({ path, owner: enabled.owner ?? "root" })),
    cwdRoots: [...(enabled.cwdRoots ?? [])],
    pathRoots: [...(enabled.pathRoots ?? [])],
    confirm: enabled.confirm ?? "always",
  };
}

/** The usual places of a preset's programs where there is one on this host. */
export function foundPlaces(spec: PresetSpec): readonly string[] {
  return spec.places.filter((place) => existsSync(place));
}
