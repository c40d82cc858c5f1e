import { setTimeout as delay } from "node:timers/promises";
import type { DoorwardClient } from "@doorward/client";
import { durationSeconds } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { EvidenceStory, folded } from "../evidence-story.ts";
import { jsonText } from "../output.ts";
import { parseMachine, parseGrant, parseOptions, usage } from "../parse-input.ts";
import { leaf, type Run } from "../run.ts";

const LsOptions = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  type: z
    .string()
    .regex(/^[a-z][a-z.-]{0,59}$/, "a type is lower-case letters, dots and hyphens")
    .optional(),
  machine: z.string().max(60).optional(),
  grant: z.string().max(60).optional(),
  since: z
    .string()
    .regex(
      /^(?:[1-9][0-9]{0,5}[smhd]|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{5,12}Z?)?)$/,
      "it is a length of time such as 2h, or a date such as 2026-11-21 or 2026-11-21T10:00:00Z",
    )
    .optional(),
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
    .option("--since <time>", "only from then on: a length of time, e.g. 2h, or a date")
    .option("-f, --follow", "go on with what is recorded from now");
  leaf(
    command,
    cli,
    [
      "doorward evidence ls",
      "doorward evidence ls --machine shop --since 2h",
      "doorward evidence ls --type denial --follow",
    ],
    async (run, _args, given) => {
      const options = parseOptions(LsOptions, given);
      if (options.machine !== undefined) parseMachine(options.machine);
      if (options.grant !== undefined) parseGrant(options.grant);
      await using client = await run.client();
      const page = await records(run, client, options, options.limit);
      if (options.follow !== true) {
        const story = new EvidenceStory(run);
        if (page.records.length === 0) await explainNone(run, client, options);
        run.output.result(page, () =>
          page.records.length === 0
            ? "No records fit"
            : folded(page.records.toReversed())
                .flatMap((row) => story.lines(row))
                .join("\n"),
        );
        return 0;
      }
      return await follow(run, client, options, page);
    },
  );
}

type Page = Awaited<ReturnType<typeof records>>;

async function records(run: Run, client: DoorwardClient, options: LsOptions, limit: number) {
  const { type, machine, grant, since } = options;
  const query = {
    limit,
    ...(type === undefined ? {} : { type }),
    ...(machine === undefined ? {} : { machine }),
    ...(grant === undefined ? {} : { grant }),
    ...(since === undefined ? {} : { since: sinceTime(since) }),
  };
  return client.call("evidence.list", { query }, { signal: run.cli.signal });
}

/** Nothing was found: a machine that neither runs nor is known to the evidence has been misspelt. */
async function explainNone(run: Run, client: DoorwardClient, { machine }: LsOptions): Promise<void> {
  if (machine === undefined) return;
  const { signal } = run.cli;
  const { records: known } = await client.call("evidence.list", { query: { machine, limit: 1 } }, { signal });
  if (known.length === 0) await client.call("machines.get", { params: { machine } }, { signal });
}

/** Tells what is recorded until the user stops it. */
async function follow(run: Run, client: DoorwardClient, options: LsOptions, first: Page): Promise<number> {
  let next = 0;
  const story = new EvidenceStory(run);
  try {
    for (let page = first; ; page = await records(run, client, options, 1000)) {
      const fresh = page.records.filter(({ index }) => index >= next).toReversed();
      const lines = fresh.flatMap((row) => (run.output.json ? [jsonText(row)] : story.lines(row)));
      for (const line of lines) run.cli.stdout.write(`${line}\n`);
      next = Math.max(next, page.size);
      await delay(FOLLOW_MS, undefined, { signal: run.cli.signal });
    }
  } catch (thrown) {
    // Ctrl-C is how one leaves.
    if (run.cli.signal.aborted) return 0;
    throw thrown;
  }
}

/** A date is midnight (or that time) of this host; a length of time counts back from now. */
function sinceTime(given: string): string {
  const time = /[smhd]$/.test(given)
    ? Date.now() - durationSeconds(given) * 1000
    : new Date(given.includes("T") ? given : `${given}T00:00`).getTime();
  if (Number.isNaN(time))
    throw usage(`Cannot use option --since "${given}": there is no such time`, "--since");
  return new Date(time).toISOString();
}
