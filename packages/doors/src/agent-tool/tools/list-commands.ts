import * as z from "zod";
import { exitCodeOf, stateOf, type KeptCommand } from "../commands/background-commands.ts";
import { defineTool } from "../tool.ts";
import { commandFields, CommandId } from "./command-fields.ts";
import { seconds } from "./seconds.ts";

const Output = z.strictObject({
  commands: z
    .array(
      z.strictObject({
        command_id: CommandId,
        command: z.string().describe("The command line, cut at 300 characters"),
        state: commandFields.state,
        exit_code: commandFields.exit_code,
        duration_ms: z.int().describe("How long it ran so far, in milliseconds"),
      }),
    )
    .describe("Commands of this session, oldest first"),
});

/** Lists the commands of the session. */
export const listCommands = defineTool({
  name: "list_commands",
  title: "List commands",
  description:
    "Lists the commands of this session: those that run in the background, and the last ones whose output can still be read.",
  input: z.strictObject({}),
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: (_input, { session }) => {
    const { name } = session.door.machine;
    const commands = session.commands.all().map(rowOf);
    const lines = commands.map(
      ({ command_id: id, state: stand, exit_code: code, duration_ms: ms, command }) =>
        `${id}  ${stand}${code === null ? "" : ` ${String(code)}`}  ${seconds(ms)}  ${command}`,
    );
    const text = lines.length === 0 ? `No commands in machine "${name}".` : lines.join("\n");
    return Promise.resolve({ structured: { commands }, text });
  },
});

function rowOf(kept: KeptCommand) {
  return {
    command_id: kept.id,
    command: kept.line.command.slice(0, 300),
    state: stateOf(kept),
    exit_code: exitCodeOf(kept.process.end),
    duration_ms: kept.process.durationMs,
  };
}
