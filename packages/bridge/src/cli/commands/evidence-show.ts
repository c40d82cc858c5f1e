import { resolve } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseArgument, parseOptions, usage } from "../parse-input.ts";
import { recordRows } from "../record-view.ts";
import { leaf, type Run } from "../run.ts";
import { fields } from "../table.ts";

/** Index of a record. */
export const RecordIndex = z
  .string()
  .regex(/^[0-9]{1,15}$/, "an index is a whole number from 0")
  .transform(Number);

const ShowOptions = z.object({
  diff: z.boolean().optional(),
  from: z.string().min(1).max(4096).optional(),
});
const Reference = z.string().min(1).max(60);

/** `doorward evidence show`. */
export function defineEvidenceShow(command: Command, cli: Cli): void {
  command
    .argument(
      "<index>",
      "index of the record, as evidence ls shows it; with --diff also a record id or a machine",
    )
    .argument("[other]", "with --diff: the launch to compare with; a machine alone has its last two compared")
    .option("--diff", "compare the fingerprints of two launches; exit code 0 when equal, 1 when not")
    .option("--from <dir>", "with --diff: folder of a log or of an export, read without a bridge");
  leaf(
    command,
    cli,
    [
      "doorward evidence show 0",
      "doorward evidence show 12 --json | jq .envelope",
      "doorward evidence show --diff 12 15",
      "doorward evidence show --diff shop",
    ],
    async (run, [given, other], options) => {
      const { diff, from } = parseOptions(ShowOptions, options);
      if (diff === true) return await compare(run, given, other, from);
      if (other !== undefined || from !== undefined)
        throw usage("Cannot show two records: a second one, and --from, belong to --diff", "diff");
      const index = parseArgument("index", RecordIndex, given);
      await using client = await run.client();
      const record = await client.call("evidence.show", { params: { index } }, { signal: run.cli.signal });
      run.output.result(record, () => fields(recordRows(record.statement)));
      return 0;
    },
  );
}

/** Like diff: 0 when equal, 1 when they differ; what fails has another code (usage 2, not found 4), so 1 is never a fault. */
async function compare(run: Run, given: unknown, other: unknown, from: string | undefined): Promise<number> {
  try {
    const [first, second] = [given, other].map((each) =>
      each === undefined ? undefined : parseArgument("record", Reference, each),
    );
    return await compareLaunches(run, first ?? "", second, from);
  } catch (thrown) {
    const { reportError } = await import("../report-error.ts");
    const code = await reportError(thrown, run.cli, run.output);
    return code === 1 ? 2 : code;
  }
}

async function compareLaunches(
  run: Run,
  first: string,
  second: string | undefined,
  from: string | undefined,
): Promise<number> {
  const { bridgeLaunches, fileLaunches, findLaunches } = await import("../launch-source.ts");
  const { diffLaunches, launchDiffText } = await import("../launch-diff.ts");
  const find = async (): ReturnType<typeof findLaunches> => {
    if (from !== undefined)
      return findLaunches(await fileLaunches(resolve(run.cli.cwd, from)), first, second);
    await using client = await run.client();
    return await findLaunches(bridgeLaunches(client, run.cli.signal), first, second);
  };
  const diff = diffLaunches(...(await find()));
  run.output.result(diff, () => launchDiffText(diff, run.output));
  return diff.equal ? 0 : 1;
}
