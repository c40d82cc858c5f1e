import * as z from "zod";
import { defineTool } from "../tool.ts";
import { git, gitPlace } from "./git-command.ts";
import { GIT_CHANGES, parsePorcelain, type GitFile, type GitStatus } from "./git-porcelain.ts";
import { pathInput } from "./inputs.ts";
import { requireKnown } from "./known-path.ts";

/** Most files in one answer. */
const STATUS_FILES = 1000;

const Input = z.strictObject({
  path: pathInput("Folder or file in a git repository; the machine's repository when absent").optional(),
});

const Output = z.strictObject({
  root: z.string().describe("Absolute path of the work tree"),
  branch: z.string().nullable().describe("Branch; null for a detached head"),
  commit: z.string().nullable().describe("Commit that the work tree is at; null before the first one"),
  upstream: z.string().nullable().describe("Upstream branch; null for none"),
  ahead: z.int().nullable().describe("Commits that upstream lacks; null without upstream"),
  behind: z.int().nullable().describe("Commits that only upstream has; null without upstream"),
  files: z
    .array(
      z.strictObject({
        path: z.string().describe("Path below root"),
        from: z.string().nullable().describe("Path before a move or copy; null for anything else"),
        staged: z.enum(GIT_CHANGES).nullable().describe("What is staged; null for nothing"),
        unstaged: z.enum(GIT_CHANGES).nullable().describe("What is not staged; null for nothing"),
      }),
    )
    .describe("Files that differ from the commit, and untracked ones"),
  truncated: z.boolean().describe("Whether more files differ than are named"),
});

/** Says how a git work tree of the machine differs from its commit. */
export const gitStatus = defineTool({
  name: "git_status",
  title: "Git status",
  description:
    "Says branch, commit, upstream and which files are staged, changed, untracked or in conflict. Changes nothing. " +
    "To see the changes themselves call git_diff.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async ({ path }, call) => {
    const place = await gitPlace(call, path);
    const root = (await git(call, place, ["rev-parse", "--show-toplevel"]))
      .toString("utf8")
      .replace(/\n$/, "");
    const submodules = place.submodules ? [] : ["--ignore-submodules=dirty"];
    const args = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", ...submodules];
    const limited = place.path === null ? [] : ["--", place.path];
    const status = parsePorcelain((await git(call, place, [...args, ...limited])).toString("utf8"));
    if (status.files.length === 0) await requireKnown(call, place);
    const files = status.files.slice(0, STATUS_FILES).map((file) => ({ ...file }));
    const truncated = files.length < status.files.length;
    return {
      structured: { ...status, root, files, truncated },
      text: textOf(root, status, files, truncated),
      target: place.path ?? root,
    };
  },
});

function textOf(root: string, status: GitStatus, files: readonly GitFile[], truncated: boolean): string {
  const { branch, commit, upstream, ahead, behind } = status;
  const where = branch === null ? "detached head" : `branch ${branch}`;
  const at = commit === null ? "no commit yet" : `at ${commit.slice(0, 12)}`;
  const apart =
    upstream === null ? "" : `, upstream ${upstream} (ahead ${ahead ?? "?"}, behind ${behind ?? "?"})`;
  const count = status.files.length === 1 ? "1 file differs" : `${status.files.length} files differ`;
  const head = `Git status of ${root}: ${where}, ${at}${apart}; ${status.files.length === 0 ? "clean" : count}`;
  const more = truncated ? [`[Only the first ${STATUS_FILES} are named: give a path for less.]`] : [];
  return [head, ...files.map(line), ...more].join("\n");
}

function line({ path, from, staged, unstaged }: GitFile): string {
  const name = from === null ? path : `${from} -> ${path}`;
  if (staged === "conflict") return `conflict: ${name}`;
  if (unstaged === "untracked") return `untracked: ${name}`;
  const both = [
    staged === null ? [] : [`staged ${staged}`],
    unstaged === null ? [] : [`not staged ${unstaged}`],
  ];
  return `${both.flat().join(", ")}: ${name}`;
}
