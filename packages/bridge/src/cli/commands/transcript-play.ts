import { SessionId } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseArgument, parseOptions } from "../parse-input.ts";
import { leaf, type Run } from "../run.ts";
import { openTranscript, type TranscriptContent } from "../transcript-file.ts";

const PlayOptions = z.object({
  speed: z.coerce.number().min(0.1).max(100).default(1),
  idleLimit: z
    .string()
    .regex(/^[0-9]{1,4}(?:\.[0-9]{1,3})?s?$/, "it is a number of seconds such as 1s or 0.5s")
    .optional(),
});

/** `doorward transcript play`. */
export function defineTranscriptPlay(command: Command, cli: Cli): void {
  command
    .argument("<transcript>", "its id: that of the session")
    .option("--speed <factor>", "play so many times as fast, 0.1 to 100 (default: 1)")
    .option("--idle-limit <time>", "longest pause, e.g. 1s");
  leaf(
    command,
    cli,
    [
      "doorward transcript play s_4kq0v2m8xw",
      "doorward transcript play s_4kq0v2m8xw --speed 2 --idle-limit 1s",
    ],
    async (run, [given], options) => {
      const id = parseArgument("transcript", SessionId, given);
      const { speed, idleLimit } = parseOptions(PlayOptions, options);
      const view = await (async () => {
        await using client = await run.client();
        return await client.call(
          "transcripts.show",
          { params: { transcript: id } },
          { signal: run.cli.signal },
        );
      })();
      if (run.output.json) {
        run.output.result(view, () => "");
        return 0;
      }
      const content = await openTranscript(view);
      tell(run, content);
      const { TranscriptPlayer } = await import("../terminal/transcript-player.ts");
      const idleSeconds = idleLimit === undefined ? Number.POSITIVE_INFINITY : Number.parseFloat(idleLimit);
      await new TranscriptPlayer(run.cli).play(content, { speed, idleSeconds });
      return 0;
    },
  );
}

function tell({ cli, output }: Run, { cols, rows }: TranscriptContent): void {
  const { isTTY, columns = cols, rows: height = rows } = cli.stdout;
  if (isTTY !== true) return;
  if (columns < cols || height < rows)
    output.info(`This terminal is smaller than the recorded one, ${String(cols)}x${String(rows)}`);
  output.info("Space pauses, q ends");
}
