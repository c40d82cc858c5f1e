import { ExecSignal } from "@doorward/contracts";
import * as z from "zod";
import { exitCodeOf, stateOf } from "../commands/background-commands.ts";
import { defineTool } from "../tool.ts";
import { commandFields, CommandId } from "./command-fields.ts";

/** How long a signal is given to end the command before the answer says that it runs on. */
const AFTER_SIGNAL_MS = 1000;

const Input = z.strictObject({
  command_id: CommandId,
  signal: ExecSignal.optional().describe(
    "Signal to send instead, e.g. SIGINT; when absent it is asked to end and killed after two seconds",
  ),
});

const Output = z.strictObject({ ...commandFields, command_id: CommandId });

/** Ends a command in the background. */
export const stopCommand = defineTool({
  name: "stop_command",
  title: "Stop a command",
  description:
    "Ends a command in the background with everything that it started, or sends it a signal. " +
    "Its output stays readable with command_output.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: true },
  call: async ({ command_id: id, signal }, call) => {
    const kept = call.session.commands.get(id);
    const { process } = kept;
    if (process.end === undefined) kept.stopped = "asked";
    if (signal === undefined) {
      await process.stop();
      await call.session.commands.sweep(kept);
    } else {
      process.signal(signal);
      await Promise.race([process.ended, new Promise((resolve) => setTimeout(resolve, AFTER_SIGNAL_MS))]);
    }
    const state = stateOf(kept);
    if (state === "running") kept.stopped = null;
    const machine = call.session.door.machine.name;
    const exitCode = exitCodeOf(process.end);
    return {
      structured: {
        state,
        exit_code: exitCode,
        signal: process.end?.kind === "signalled" ? process.end.signal : null,
        command_id: id,
      },
      text: `"${id}" in machine "${machine}": ${state}${exitCode === null ? "" : ` with exit code ${String(exitCode)}`}.`,
      exitCode,
    };
  },
});
