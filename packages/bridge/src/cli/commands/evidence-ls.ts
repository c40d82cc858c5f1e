import { setTimeout as delay } from "node:timers/promises";
import type { DoorwardClient } from "@doorward/client";
import type { EvidenceRow } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeLine } from "../escape-text.ts";
import { parseMachine, parseGrant, parseOptions } from "../parse-input.ts";
import { leaf, type Run } from "../run.ts";

const LsOptions = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  type: z
    .string()
    .regex(/^[a-z][a-z.-]{0,59}$/, "a type is lower-case letters, dots and hyphens")
    .optional(),
  machine: z.string().max(60).optional(),
  grant: z.string().max(60).optional(),
  follow: z.boolean().optional(),
});
type LsOptions = z.infer<typeof LsOptions>;

const FOLLOW_MS = 500;

/** `doorward evidence ls`. */
export function defineEvidenceLs(command: Command, cli: Cli): void {
  command
    .option("-n, --limit <count>", "how many of the newest records, at most 1000 (default: 50)")
    .option("--type <type>", "only this kind, e.g. launch")
    .option("--machine <machine>", "only of this machine")
    .option("--grant <grant>", "only of this grant")
    .option("-f, --follow", "go on with what is recorded from now");
  leaf(
    command,
    cli,
    ["doorward evidence ls", "doorward evidence ls --machine shop --follow"],
    async (run, _args, given) => {
      const options = parseOptions(LsOptions, given);
      if (options.machine !== undefined) parseMachine(options.machine);
      if (options.grant !== undefined) parseGrant(options.grant);
      await using client = await run.client();
      const page = await records(run, client, options, options.limit);
      if (options.follow !== true) {
        run.output.result(page, () => page.records.toReversed().map(line).join("\n"));
        return 0;
      }
      return await follow(run, client, options, page);
    },
  );
}

type Page = Awaited<ReturnType<typeof records>>;

async function records(run: Run, client: DoorwardClient, options: LsOptions, limit: number) {
  const { type, machine, grant } = options;
  const query = {
    limit,
    ...(type === undefined ? {} : { type }),
    ...(machine === undefined ? {} : { machine }),
    ...(grant === undefined ? {} : { grant }),
  };
  return client.call("evidence.list", { query }, { signal: run.cli.signal });
}

/** Tells what is recorded until the user stops it. */
async function follow(run: Run, client: DoorwardClient, options: LsOptions, first: Page): Promise<number> {
  let next = 0;
  try {
    for (let page = first; ; page = await records(run, client, options, 1000)) {
      const fresh = page.records.filter(({ index }) => index >= next).toReversed();
      for (const row of fresh) run.cli.stdout.write(`${run.output.json ? JSON.stringify(row) : line(row)}\n`);
      next = Math.max(next, page.size);
      await delay(FOLLOW_MS, undefined, { signal: run.cli.signal });
    }
  } catch (thrown) {
    if (run.cli.signal.aborted) return 1;
    throw thrown;
  }
}

function line(row: EvidenceRow): string {
  const who = row.subject ?? "-";
  return escapeLine(
    `${String(row.index).padStart(6)}  ${row.at}  ${row.type.padEnd(16)}  ${who}  ${row.summary}`,
  );
}
