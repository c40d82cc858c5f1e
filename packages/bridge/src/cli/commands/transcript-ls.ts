import type { TranscriptView } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { namedMachine } from "../resolve-machine.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";
import { ago, size, span, until } from "../times.ts";

/** `doorward transcript ls`. */
export function defineTranscriptLs(command: Command, cli: Cli): void {
  command.argument("[machine]", "only of this machine");
  leaf(command, cli, ["doorward transcript ls", "doorward transcript ls shop"], async (run, [given]) => {
    const machine = namedMachine(given);
    await using client = await run.client();
    const input = machine === undefined ? {} : { query: { machine } };
    const result = await client.call("transcripts.list", input, { signal: run.cli.signal });
    run.output.result(result, () => text(result.transcripts));
    return 0;
  });
}

function text(transcripts: readonly TranscriptView[]): string {
  if (transcripts.length === 0)
    return "No transcripts: profiles have none unless doors.terminal.transcript.capture is output";
  const rows = transcripts.map((view) => [
    view.id,
    view.machine.name,
    view.subject,
    ago(view.startedAt),
    view.endedAt === null ? "recording" : span(Date.parse(view.endedAt) - Date.parse(view.startedAt)),
    view.reference === null ? "-" : size(view.reference.bytes),
    until(view.deleteAt),
  ]);
  return table(["TRANSCRIPT", "MACHINE", "SUBJECT", "STARTED", "LENGTH", "SIZE", "DELETED"], rows);
}
