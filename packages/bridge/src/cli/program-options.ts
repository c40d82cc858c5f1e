import { MachinePath } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import { parseOptions, usage } from "./parse-input.ts";

const ProgramOptions = z.object({
  env: z.array(z.string().max(131_072)).max(200).optional(),
  cwd: MachinePath.optional(),
  stdin: z.boolean().optional(),
});

/** How a program in a machine is run. */
export interface ProgramOptions {
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly cwd: string | undefined;
  readonly stdin: boolean;
}

/** Options of everything that runs a program in a machine. */
export function addProgramOptions(command: Command): Command {
  const collect = (value: string, before: readonly string[] | undefined): string[] => [
    ...(before ?? []),
    value,
  ];
  return command
    .option("--cwd <path>", "working folder in the machine; the first repo when left out")
    .option("-e, --env <name=value>", "variable of the program; may be repeated", collect);
}

/** Parses the options of {@link addProgramOptions}. */
export function parseProgram(given: unknown): ProgramOptions {
  const { env, cwd, stdin } = parseOptions(ProgramOptions, given);
  return {
    env: env === undefined ? undefined : Object.fromEntries(env.map(variable)),
    cwd,
    stdin: stdin !== false,
  };
}

function variable(text: string): [string, string] {
  const parts = /^([A-Za-z_][A-Za-z0-9_]{0,255})=([^\u0000]*)$/s.exec(text);
  if (parts === null) throw usage(`Cannot use option --env "${text}": it is not NAME=VALUE`, "--env");
  return [parts[1] ?? "", parts[2] ?? ""];
}
