import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import { stateOf } from "../commands/background-commands.ts";
import { defineTool } from "../tool.ts";
import { CommandId } from "./command-fields.ts";

const Input = z.strictObject({
  command_id: CommandId,
  text: z.string().max(262_144).describe("Text to send; end a line with a line feed"),
  end: z.boolean().optional().describe("End the input after it"),
});

const Output = z.strictObject({
  command_id: CommandId,
  sent_bytes: z.int().describe("Bytes that were sent"),
});

/** Sends text to a command in the background. */
export const sendInput = defineTool({
  name: "send_input",
  title: "Send input to a command",
  description:
    "Sends text to the standard input of a command in the background that was started with stdin. " +
    "Read what it answers with command_output.",
  input: Input,
  output: Output,
  hints: { idempotent: false, destructive: true },
  call: ({ command_id: id, text, end }, { session }) => {
    const kept = session.commands.get(id);
    const { input } = kept.process;
    const state = stateOf(kept);
    if (state !== "running") throw refused(id, `it does not run any more (${state})`, "Start it again");
    if (input === null || !input.open)
      throw refused(id, "its input is not open", 'Start it with background: true and stdin, which may be ""');
    if (text !== "") input.send(text);
    kept.process.bytes.stdin += Buffer.byteLength(text);
    if (end === true) input.end();
    const { name } = session.door.machine;
    const sent = Buffer.byteLength(text);
    return Promise.resolve({
      structured: { command_id: id, sent_bytes: sent },
      text: `Sent ${String(sent)} bytes to "${id}"${end === true ? " and ended its input" : ""} in machine "${name}".`,
    });
  },
});

function refused(id: string, why: string, hint: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot send input to command "${id}": ${why}`,
    hint,
  });
}
