import { basename } from "node:path";
import type { ActionPreset } from "@doorward/contracts";
import { ACTION_PRESET_SPECS } from "../src/actions/presets/index.ts";

/** The program and arguments of a command line of a preset; a line may start with one of several programs. */
export function commandLine(preset: ActionPreset, line: string): { program: string; args: string[] } {
  const programs = ACTION_PRESET_SPECS[preset].places.map((place) => basename(place));
  const words = line.split(" ").filter((word) => word !== "");
  const [first = ""] = words;
  return new Set(programs).size > 1 && programs.includes(first)
    ? { program: first, args: words.slice(1) }
    : { program: programs[0] ?? "", args: words };
}
