import * as z from "zod";
import { exitCodeOf, stateOf, type KeptCommand } from "../commands/background-commands.ts";
import { textOf, type OutputPage } from "../commands/command-output.ts";
import { defineTool, type ToolAnswer } from "../tool.ts";
import { commandFields, CommandId, outputField } from "./command-fields.ts";
import { seconds } from "./seconds.ts";

const PAGE_CHARACTERS = 30_000;

const Input = z.strictObject({
  command_id: CommandId,
  cursor: z
    .int()
    .min(0)
    .optional()
    .describe("Where to start: next_cursor of an earlier answer, 0 for the start; what is new when absent"),
  wait_seconds: z
    .int()
    .min(0)
    .max(120)
    .optional()
    .describe("Wait so long for new output or the end; 0 when absent"),
});

const Output = z.strictObject({
  ...commandFields,
  command_id: CommandId,
  duration_ms: z.int().describe("How long it ran so far, in milliseconds"),
  output: outputField,
  next_cursor: z.int().describe("Where the next page starts"),
  more: z.boolean().describe("Whether there is more output already"),
  lost_characters: z.int().describe("Characters before this page that are not kept any more"),
});

/** Tells what a command wrote and how it stands. */
export const commandOutput = defineTool({
  name: "command_output",
  title: "Output of a command",
  description:
    "Gives the new output and the state of a command by the command_id that run_command gave. " +
    "Set wait_seconds to wait for news instead of asking again and again.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async ({ command_id: id, cursor, wait_seconds: wait }, { session, signal }) => {
    const kept = session.commands.get(id);
    const from = cursor ?? kept.cursor;
    await kept.process.changed(from, (wait ?? 0) * 1000, signal);
    signal.throwIfAborted();
    const page = kept.process.output.page(from, PAGE_CHARACTERS);
    kept.cursor = page.next;
    return pageAnswer(session.door.machine.name, kept, page);
  },
});

function pageAnswer(
  machine: string,
  kept: KeptCommand,
  page: OutputPage,
): ToolAnswer<z.input<typeof Output>> {
  const { process, id } = kept;
  const state = stateOf(kept);
  const more = page.next < process.output.total;
  const exitCode = exitCodeOf(process.end);
  const stand = state === "exited" ? `exit code ${String(exitCode)}` : state;
  const head = `[${id}: ${stand}, ${seconds(process.durationMs)}, machine "${machine}"]`;
  const lost = page.lost === 0 ? "" : `\n[${String(page.lost)} characters before this are not kept any more]`;
  const tail = more ? `\n[more: call again with cursor ${String(page.next)}]` : "";
  const text = textOf(page.parts);
  return {
    structured: {
      state,
      exit_code: exitCode,
      signal: process.end?.kind === "signalled" ? process.end.signal : null,
      command_id: id,
      duration_ms: process.durationMs,
      output: [...page.parts],
      next_cursor: page.next,
      more,
      lost_characters: page.lost,
    },
    text: `${head}${lost}\n${text === "" ? "(no new output)" : text}${tail}`,
    exitCode,
  };
}
