import type { Tool } from "../tool.ts";
import { commandOutput } from "./command-output.ts";
import { listCommands } from "./list-commands.ts";
import { runCommand } from "./run-command.ts";
import { sendInput } from "./send-input.ts";
import { stopCommand } from "./stop-command.ts";

/** Tools that run programs in the machine. */
export const COMMAND_TOOLS: readonly Tool[] = [
  runCommand,
  commandOutput,
  sendInput,
  stopCommand,
  listCommands,
];
