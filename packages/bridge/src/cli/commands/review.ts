import { resolve } from "node:path";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError, type ReviewView } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeLine, escapeText } from "@doorward/client/operator";
import { machineCommand } from "../machine-action.ts";
import type { Output } from "../output.ts";
import { parseOptions, usage } from "../parse-input.ts";
import type { Run } from "../run.ts";
import { table } from "../table.ts";

const ReviewOptions = z.object({
  branch: z
    .string()
    .min(1)
    .max(200)
    .regex(/^(?!-)[^\u0000-\u0020\u007f~^:?*[\\]+$/, "it is not a branch name")
    .optional(),
  patch: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\u0000-\u001f\u007f]+$/, "a path has no control characters")
    .optional(),
  repo: z.string().min(1).max(4096).optional(),
  head: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/, "a commit is hexadecimal")
    .optional(),
  stat: z.boolean().optional(),
});
type ReviewOptions = z.infer<typeof ReviewOptions>;

/** `doorward review`. */
export function defineReview(command: Command, cli: Cli): void {
  command
    .option("--branch <name>", "bring the changes back as a branch of the real repo")
    .option("--patch <file>", "bring the changes back as a patch file")
    .option("--repo <path>", "which repo, when the machine has several")
    .option("--head <commit>", "the commit that was looked at; refused when the machine went on since")
    .option("--stat", "list changed files without the diff");
  machineCommand(command, cli, {
    examples: ["doorward review shop", "doorward review shop --branch agent/fix --head 3f9c2d1"],
    parse: (given) => {
      const options = parseOptions(ReviewOptions, given);
      if (options.branch === undefined || options.patch === undefined) return options;
      throw usage("Cannot bring changes back: --branch and --patch exclude each other", "--branch");
    },
    act: async (run, client, machine, options) => {
      const { reviews } = await client.call(
        "machines.review",
        { params: { machine } },
        { signal: run.cli.signal },
      );
      const chosen = choose(cli, reviews, options.repo);
      if (options.branch === undefined && options.patch === undefined)
        return show(run.output, chosen, options);
      return bring(run, client, machine, chosen, options);
    },
  });
}

function choose(cli: Cli, reviews: readonly ReviewView[], repo: string | undefined): readonly ReviewView[] {
  if (repo === undefined) return reviews;
  const path = resolve(cli.cwd, repo);
  const chosen = reviews.filter((review) => review.repo === path);
  if (chosen.length > 0) return chosen;
  throw usage(`Cannot review "${escapeLine(repo)}": the machine has no clone of it`, "--repo");
}

function show(output: Output, reviews: readonly ReviewView[], options: ReviewOptions): number {
  output.result({ reviews }, () =>
    reviews.map((review) => text(output, review, options.stat === true)).join("\n\n"),
  );
  return 0;
}

function text(output: Output, review: ReviewView, stat: boolean): string {
  const files = review.files.map(({ path, added, removed }) => [
    path,
    count("+", added),
    count("-", removed),
  ]);
  return [
    `${output.style("bold", escapeLine(review.repo))}  ${review.base.slice(0, 12)}..${review.head.slice(0, 12)}`,
    ...review.warnings.map((warning) => `${output.style("yellow", "look first:")} ${escapeLine(warning)}`),
    files.length === 0 ? "No changes" : table(["FILE", "ADDED", "REMOVED"], files),
    ...(stat || review.diff === "" ? [] : ["", colored(output, escapeText(review.diff))]),
    ...(review.truncated
      ? [output.style("yellow", "The diff is cut; look at the rest before you take it")]
      : []),
  ].join("\n");
}

function count(sign: string, lines: number | null): string {
  return lines === null ? "binary" : `${sign}${lines}`;
}

function colored(output: Output, diff: string): string {
  const paint = (line: string): string => {
    if (line.startsWith("+")) return output.style("green", line);
    if (line.startsWith("-")) return output.style("red", line);
    return line.startsWith("@@") ? output.style("cyan", line) : line;
  };
  return diff.split("\n").map(paint).join("\n");
}

async function bring(
  run: Run,
  client: DoorwardClient,
  machine: string,
  reviews: readonly ReviewView[],
  options: ReviewOptions,
): Promise<number> {
  const [review, other] = reviews;
  if (review === undefined || other !== undefined) {
    throw usage("Cannot bring changes back: which repo is not said", "--repo", "doorward review --stat");
  }
  if (options.head !== undefined && !review.head.startsWith(options.head)) throw moved(review, options.head);
  const body = {
    repo: review.repo,
    head: review.head,
    as: options.branch === undefined ? ("patch" as const) : ("branch" as const),
    name: options.branch ?? resolve(run.cli.cwd, options.patch ?? ""),
  };
  const result = await client.call(
    "machines.bring",
    { params: { machine }, body },
    { signal: run.cli.signal },
  );
  run.output.result(
    result,
    () => `${result.as} ${escapeLine(result.name)} in ${escapeLine(result.repo)} at ${result.commit}`,
  );
  return 0;
}

function moved(review: ReviewView, head: string): DoorwardError {
  return new DoorwardError({
    code: "REVIEW_FAILED",
    message: `Cannot bring changes back: the machine is at ${review.head.slice(0, 12)}, not at "${head}" that was looked at`,
    hint: "doorward review",
  });
}
