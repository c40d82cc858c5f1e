import { open, unlink } from "node:fs/promises";
import { DoorwardError, SessionId, type TranscriptView } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseArgument, parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { size } from "../times.ts";
import { checkedBytes } from "../transcript-file.ts";

const ExportOptions = z.object({ output: z.string().min(1).max(4096).optional() });

/** `doorward transcript export`. */
export function defineTranscriptExport(command: Command, cli: Cli): void {
  command
    .argument("<transcript>", "its id: that of the session")
    .option("-o, --output <file>", "a file that is not there yet (default: TRANSCRIPT.cast)");
  leaf(
    command,
    cli,
    ["doorward transcript export s_4kq0v2m8xw", "doorward transcript export s_4kq0v2m8xw -o monday.cast"],
    async (run, [given], options) => {
      const id = parseArgument("transcript", SessionId, given);
      const { output: path = `${id}.cast` } = parseOptions(ExportOptions, options);
      await using client = await run.client();
      const view = await client.call(
        "transcripts.show",
        { params: { transcript: id } },
        { signal: run.cli.signal },
      );
      const bytes = await copy(view, path);
      const checked = view.reference === null ? "the session goes on" : "its evidence record has this digest";
      run.output.result({ ...view, output: path }, () => `Wrote ${path}, ${size(bytes)}: ${checked}`);
      return 0;
    },
  );
}

function isThere(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "EEXIST";
}

/** What does not agree with its record leaves no file. */
async function copy(view: TranscriptView, path: string): Promise<number> {
  const file = await open(path, "wx", 0o600).catch((cause: unknown) => {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot write "${path}": ${isThere(cause) ? "there is such a file already" : String(cause)}`,
      cause,
    });
  });
  let bytes = 0;
  try {
    for await (const chunk of checkedBytes(view)) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    return bytes;
  } catch (error) {
    await unlink(path);
    throw error;
  } finally {
    await file.close();
  }
}
