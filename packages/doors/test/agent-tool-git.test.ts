import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { MachineReach } from "../src/door.ts";
import { DIFF_LINES } from "../src/agent-tool/tools/git-diff.ts";
import { parsePorcelain } from "../src/agent-tool/tools/git-porcelain.ts";
import { type AnswerOf, callTool, failing, sessionAt, tempFolder } from "./agent-tool-lab.ts";

function gitIn(folder: string, ...args: string[]): string {
  const identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
  return execFileSync("git", ["-C", folder, ...identity, ...args], {
    stdio: ["ignore", "pipe", "ignore"],
  }).toString();
}

/** A repository with one commit of `a.txt`, and sessions at it: with commands, and without. */
async function repository(reach: Partial<MachineReach> = {}) {
  const folder = await tempFolder();
  const path = join(folder.path, "repo");
  await mkdir(path);
  gitIn(path, "init", "-q");
  await writeFile(join(path, "a.txt"), "one\ntwo\n");
  gitIn(path, "add", ".");
  gitIn(path, "commit", "-qm", "first");
  const runs = sessionAt(path);
  const covered = { workdir: path, folders: [{ path, access: "rw" }], narrowed: false, ...reach } as const;
  const reads = sessionAt(path, { operations: ["agent-tool.list", "agent-tool.read"], reach: covered });
  return {
    folder: folder.path,
    path,
    runs,
    reads,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

test("status says branch, commit and what differs, to sessions with commands and without", async () => {
  await using repo = await repository();
  await writeFile(join(repo.path, "a.txt"), "one\n2\n");
  await writeFile(join(repo.path, "new file.txt"), "x\n");
  await writeFile(join(repo.path, "staged.txt"), "x\n");
  gitIn(repo.path, "add", "staged.txt");
  for (const session of [repo.runs, repo.reads]) {
    const { structured, text, target } = await callTool(session, "git_status", {});
    assert.deepEqual(structured, {
      machine: "shop",
      root: repo.path,
      branch: "main",
      commit: gitIn(repo.path, "rev-parse", "HEAD").trim(),
      upstream: null,
      ahead: null,
      behind: null,
      files: [
        { path: "a.txt", from: null, staged: null, unstaged: "modified" },
        { path: "staged.txt", from: null, staged: "added", unstaged: null },
        { path: "new file.txt", from: null, staged: null, unstaged: "untracked" },
      ],
      truncated: false,
    });
    assert.match(
      text,
      /^Git status of .*: branch main, at [0-9a-f]{12}; 3 files differ\nnot staged modified: a\.txt/,
    );
    assert.equal(target, repo.path);
    const narrow = await callTool(session, "git_status", { path: "staged.txt" });
    assert.equal(narrow.structured.files.length, 1);
  }
});

test("status of moves, conflicts, a detached head and a repository without commits", async () => {
  await using repo = await repository();
  gitIn(repo.path, "mv", "a.txt", "b c.txt");
  const moved = await callTool(repo.runs, "git_status", {});
  assert.deepEqual(moved.structured.files, [
    { path: "b c.txt", from: "a.txt", staged: "renamed", unstaged: null },
  ]);
  gitIn(repo.path, "checkout", "-qf", "--detach", "HEAD");
  gitIn(repo.path, "reset", "-q", "--hard");
  const detached = await callTool(repo.runs, "git_status", {});
  assert.equal(detached.structured.branch, null);
  assert.match(detached.text, /detached head.*; clean/);
  const empty = join(repo.folder, "empty");
  await mkdir(empty);
  gitIn(empty, "init", "-q");
  const none = await callTool(sessionAt(repo.folder), "git_status", { path: "empty" });
  assert.deepEqual([none.structured.root, none.structured.commit], [empty, null]);
});

test("porcelain records are read with their spaces, tabs and line feeds", () => {
  const status = parsePorcelain(
    [
      "# branch.oid 1234",
      "# branch.head feature/x y",
      "# branch.upstream origin/x",
      "# branch.ab +3 -4",
      "1 .D N... 100644 100644 000000 1 2 a b\nc",
      "2 R. N... 100644 100644 100644 1 2 R100 to\tx",
      "from y",
      "u UU N... 100644 100644 100644 100644 1 2 3 both",
      "? un tracked",
      "",
    ].join("\0"),
  );
  assert.deepEqual(
    [status.branch, status.upstream, status.ahead, status.behind],
    ["feature/x y", "origin/x", 3, 4],
  );
  assert.deepEqual(status.files, [
    { path: "a b\nc", from: null, staged: null, unstaged: "deleted" },
    { path: "to\tx", from: "from y", staged: "renamed", unstaged: null },
    { path: "both", from: null, staged: "conflict", unstaged: "conflict" },
    { path: "un tracked", from: null, staged: null, unstaged: "untracked" },
  ]);
});

test("diff shows the work tree, what is staged, and a revision", async () => {
  await using repo = await repository();
  await writeFile(join(repo.path, "a.txt"), "one\n2\n");
  for (const session of [repo.runs, repo.reads]) {
    const { structured, text } = await callTool(session, "git_diff", {});
    assert.match(structured.diff, /^diff --git a\/a\.txt b\/a\.txt\n[^]*-two\n\+2\n$/);
    assert.deepEqual(structured.files, [{ path: "a.txt", added: 1, removed: 1 }]);
    assert.match(text, /^Git diff of .*: 1 file, lines 1-8 of 8\n/);
    assert.match((await callTool(session, "git_diff", { staged: true })).text, /no changes$/);
  }
  gitIn(repo.path, "commit", "-qam", "second");
  await rm(join(repo.path, "a.txt"));
  const base = await callTool(repo.runs, "git_diff", { base: "HEAD~1", path: "a.txt" });
  assert.match(base.structured.diff, /deleted file mode/);
});

test("a path that does not exist is refused, to git_diff and git_status, with commands and without", async () => {
  await using repo = await repository();
  for (const session of [repo.runs, repo.reads])
    for (const path of ["none.txt", "none/deeper.txt", "a.txt/below"]) {
      const refused = failing("PATH_NOT_FOUND", /no such path/, /find_files/);
      await assert.rejects(callTool(session, "git_diff", { path }), refused);
      await assert.rejects(callTool(session, "git_diff", { path, staged: true, base: "HEAD" }), refused);
      await assert.rejects(callTool(session, "git_status", { path }), refused);
    }
});

test("what exists, was deleted, or is in a commit that is compared has no changes where it has none", async () => {
  await using repo = await repository();
  await mkdir(join(repo.path, "empty"));
  await symlink("nowhere", join(repo.path, "dangling"));
  await mkdir(join(repo.path, "gone"));
  await writeFile(join(repo.path, "gone", "b.txt"), "b\n");
  gitIn(repo.path, "add", "gone");
  gitIn(repo.path, "commit", "-qm", "second");
  gitIn(repo.path, "branch", "side");
  gitIn(repo.path, "rm", "-qr", "gone");
  for (const session of [repo.runs, repo.reads]) {
    for (const path of ["a.txt", "empty", "dangling", "gone/b.txt", "gone"])
      assert.match((await callTool(session, "git_diff", { path })).text, /no changes$/, path);
    const staged = await callTool(session, "git_diff", { path: "gone/b.txt", staged: true });
    assert.match(staged.structured.diff, /deleted file mode/);
  }
  gitIn(repo.path, "commit", "-qm", "third");
  for (const session of [repo.runs, repo.reads]) {
    const asked = { path: "gone/b.txt", base: "side...HEAD~1" };
    assert.match((await callTool(session, "git_diff", asked)).text, /no changes$/);
    await assert.rejects(
      callTool(session, "git_diff", { path: "gone/b.txt" }),
      failing("PATH_NOT_FOUND", /no such path/),
    );
  }
});

test("without any commit a path that exists has no changes, another one is refused", async () => {
  await using folder = await tempFolder();
  gitIn(folder.path, "init", "-q");
  await writeFile(join(folder.path, "new.txt"), "x\n");
  const session = sessionAt(folder.path);
  assert.match((await callTool(session, "git_diff", { path: "new.txt" })).text, /no changes$/);
  await assert.rejects(
    callTool(session, "git_diff", { path: "none.txt" }),
    failing("PATH_NOT_FOUND", /no such path/),
  );
});

test("a long diff is paged by lines", async () => {
  await using repo = await repository();
  await writeFile(join(repo.path, "a.txt"), "x\n".repeat(DIFF_LINES * 2));
  let got = "";
  for (let offset: number | null = 1; offset !== null;) {
    const { structured, text }: AnswerOf<"git_diff"> = await callTool(repo.runs, "git_diff", {
      offset_line: offset,
    });
    got += structured.diff;
    offset = structured.next_offset;
    if (offset !== null) assert.match(text, new RegExp(`offset_line ${String(offset)}`));
  }
  assert.equal(got, gitIn(repo.path, "diff"));
});

test("a base that is no plain revision, an unknown one and a folder without a repository are refused", async () => {
  await using repo = await repository();
  for (const base of ["--output=/tmp/x", "-O", "", "HEAD --stat", "main:a.txt", ":/x", "$(id)", "a\nb"])
    await assert.rejects(callTool(repo.runs, "git_diff", { base }), { name: "ZodError" });
  await assert.rejects(
    callTool(repo.runs, "git_diff", { base: "nope" }),
    failing("INPUT_INVALID", /git says/),
  );
  await assert.rejects(
    callTool(sessionAt("/"), "git_status", { path: "/proc" }),
    failing("INPUT_INVALID", /not a git repository/, /Give the path/),
  );
});

test("paths are plain: no patterns and no options", async () => {
  await using repo = await repository();
  await writeFile(join(repo.path, "a.txt"), "x\n");
  for (const path of ["*.txt", ":(top)a.txt", "--cached", ":!b"])
    await assert.rejects(
      callTool(repo.reads, "git_diff", { path }),
      failing("PATH_NOT_FOUND", /no such path in the work tree, the index or HEAD/, /find_files/),
    );
});

test("without commands a narrowed grant has no git, and paths outside have none", async () => {
  await using narrow = await repository({ narrowed: true });
  await assert.rejects(
    callTool(narrow.reads, "git_status", {}),
    failing("PATH_NOT_ALLOWED", /covers only a part of the repository/, /read_file/),
  );
  await assert.rejects(callTool(narrow.reads, "git_diff", {}), failing("PATH_NOT_ALLOWED", /only a part/));
  await using repo = await repository();
  for (const path of ["/", "..", repo.folder, `${repo.path}x`, "/etc"])
    await assert.rejects(
      callTool(repo.reads, "git_status", { path }),
      failing("PATH_NOT_ALLOWED", /does not cover it/),
    );
});

test("git runs no program that a repository names, without commands not even its filters", async () => {
  await using repo = await repository();
  const mark = join(repo.folder, "ran");
  const program = join(repo.folder, "program");
  await writeFile(program, `#!/bin/sh\necho "$0 $@" >> ${mark}\ncat\n`);
  await chmod(program, 0o755);
  await writeFile(join(repo.path, ".gitattributes"), "*.txt filter=evil diff=evil\n*.x filter=a=b\n");
  await writeFile(join(repo.path, "b.x"), "x\n");
  gitIn(repo.path, "add", ".");
  gitIn(repo.path, "commit", "-qm", "second");
  for (const [key, value] of Object.entries({
    "core.fsmonitor": program,
    "core.hooksPath": repo.folder,
    "core.pager": program,
    "pager.diff": program,
    "diff.external": program,
    "diff.evil.command": program,
    "diff.evil.textconv": program,
  }))
    gitIn(repo.path, "config", key, value);
  await writeFile(join(repo.path, ".git", "hooks", "post-index-change"), await readFile(program), {
    mode: 0o755,
  });
  await writeFile(join(repo.path, "a.txt"), "changed\n");
  await writeFile(join(repo.path, "b.x"), "changed\n");
  await callTool(repo.runs, "git_diff", {});
  await callTool(repo.runs, "git_status", {});
  await assert.rejects(readFile(mark), { code: "ENOENT" });
  for (const kind of ["clean", "smudge", "process"]) {
    gitIn(repo.path, "config", `filter.evil.${kind}`, program);
    gitIn(repo.path, "config", `filter.a=b.${kind}`, program);
  }
  gitIn(repo.path, "config", "filter.evil.required", "true");
  const { structured } = await callTool(repo.reads, "git_diff", {});
  assert.match(structured.diff, /\+changed/);
  await callTool(repo.reads, "git_status", {});
  await assert.rejects(readFile(mark), { code: "ENOENT" });
});

test("without commands a repository inside the repository is not entered", async () => {
  await using repo = await repository();
  const mark = join(repo.folder, "ran");
  const inner = join(repo.path, "inner");
  await mkdir(inner);
  gitIn(inner, "init", "-q");
  gitIn(inner, "config", "filter.evil.clean", `touch ${mark}; cat`);
  gitIn(inner, "config", "core.worktree", "/etc");
  await writeFile(join(inner, ".gitattributes"), "* filter=evil\n");
  await writeFile(join(inner, "x"), "x\n");
  const { structured } = await callTool(repo.reads, "git_status", { path: "inner" });
  assert.equal(structured.root, repo.path);
  await callTool(repo.reads, "git_diff", { path: "inner/x", base: "HEAD" });
  await assert.rejects(readFile(mark), { code: "ENOENT" });
});
