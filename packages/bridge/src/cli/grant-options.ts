import { ActionCapability, DoorName, Duration, Operation, Subject, ToolName } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";

const HostPathText = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\u0000-\u001f\u007f]+$/, "a path has no control characters");

/** Options of the commands that mint grants. */
export const GrantOptions = z.object({
  to: Subject.optional(),
  door: z.array(DoorName).max(8).optional(),
  op: z.array(Operation).max(64).optional(),
  capability: z.array(ActionCapability).max(64).optional(),
  tool: z.array(ToolName).max(64).optional(),
  path: z.array(HostPathText).max(64).optional(),
  for: Duration.optional(),
});

/** Adds the options of {@link GrantOptions}. */
export function addGrantOptions(command: Command): Command {
  const collect = (value: string, before: readonly string[] | undefined): string[] => [
    ...(before ?? []),
    ...value.split(",").map((part) => part.trim()),
  ];
  return command
    .option("--to <subject>", "who gets it, e.g. agent:codex:session-1 or ci:nightly")
    .option("--door <door>", "door that may be opened; those of the operations when left out", collect)
    .option("--op <operation>", "operation, e.g. terminal.exec; may be repeated", collect)
    .option("--capability <name>", "action on the host, e.g. system.process.exec; may be repeated", collect)
    .option(
      "--tool <name>",
      "agent tool that may be called, e.g. read_file; all of the operations when left out",
      collect,
    )
    .option("--path <path>", "repo that it covers; the machine's when left out", collect)
    .option("--for <time>", "how long, e.g. 8h");
}
