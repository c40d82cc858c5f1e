import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { applyHunks } from "../src/agent-tool/tools/patch/apply-hunks.ts";
import { parsePatch } from "../src/agent-tool/tools/patch/parse-patch.ts";
import { WatchedFiles, callTool, digestOf, failing, sessionAt, tempFolder } from "./agent-tool-lab.ts";

/** Runs of each property, times this: DOORWARD_TEST_RUNS; 10 on a host of one's own. */
const TIMES = Number(process.env["DOORWARD_TEST_RUNS"] ?? "1");
const runs = (usual: number): number => Math.ceil(usual * TIMES);

type Tree = Readonly<Record<string, string>>;

/** A folder with these files, and what the tool makes of it. */
async function lab(tree: Tree) {
  const folder = await tempFolder();
  await fill(folder.path, tree);
  const files = new WatchedFiles([{ path: folder.path, access: "rw" }], folder.path);
  const session = sessionAt(folder.path, { files });
  return {
    files,
    path: folder.path,
    patch: (patch: string) => callTool(session, "apply_patch", { patch }),
    now: () => treeAt(folder.path),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function fill(folder: string, tree: Tree): Promise<void> {
  for (const [path, content] of Object.entries(tree)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content, "latin1");
  }
}

async function treeAt(folder: string): Promise<Tree> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const at = join(entry.parentPath, entry.name);
    found[at.slice(folder.length + 1)] = await readFile(at, "latin1");
  }
  return found;
}

/** Bytes of a text in UTF-8, as trees here have them. */
function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** What a patch makes of one file. */
async function patched(before: string, ...patch: string[]): Promise<string | undefined> {
  await using at = await lab({ f: before });
  await at.patch(patch.join("\n"));
  return (await at.now())["f"];
}

function envelope(...lines: string[]): string {
  return ["*** Begin Patch", ...lines, "*** End Patch"].join("\n");
}

function updating(...lines: string[]): string {
  return envelope("*** Update File: f", ...lines);
}

test("the envelope adds, updates, moves and deletes in one step", async () => {
  await using at = await lab({ "a.txt": "one\ntwo\nthree\n", "b.txt": "gone\n", "c.txt": "old name\n" });
  const { structured, text, target } = await at.patch(
    envelope(
      "*** Add File: new/d.txt",
      "+hello",
      "+",
      "*** Update File: a.txt",
      "@@",
      " one",
      "-two",
      "+2",
      "*** Delete File: b.txt",
      "*** Update File: c.txt",
      "*** Move to: moved/c.txt",
      "@@",
      "-old name",
      "+new name",
    ),
  );
  const after = { "a.txt": "one\n2\nthree\n", "new/d.txt": "hello\n\n", "moved/c.txt": "new name\n" };
  assert.deepEqual(await at.now(), after);
  assert.deepEqual(structured.files, [
    entry(at.path, "new/d.txt", "created", 2, 0, after["new/d.txt"]),
    entry(at.path, "a.txt", "changed", 1, 1, after["a.txt"]),
    entry(at.path, "b.txt", "deleted", 0, 0, null),
    { ...entry(at.path, "moved/c.txt", "moved", 1, 1, after["moved/c.txt"]), from: join(at.path, "c.txt") },
  ]);
  assert.match(text, /^Patched 4 files:\ncreated new\/d.txt \(\+2 -0\)\n/);
  assert.match(text, /moved c\.txt -> moved\/c\.txt/);
  assert.equal(target, join(at.path, "new/d.txt"));
});

function entry(
  root: string,
  path: string,
  action: string,
  added: number,
  removed: number,
  now: string | null,
) {
  return {
    path: join(root, path),
    action,
    from: null,
    added,
    removed,
    digest: now === null ? null : digestOf(now),
  };
}

test("a header after @@ says where, also with other indentation, and several narrow it down", async () => {
  const file = "class A:\n  def f():\n    x\nclass B:\n  def f():\n    x\n";
  const wanted = "class A:\n  def f():\n    x\nclass B:\n  def f():\n    y\n";
  assert.equal(await patched(file, updating("@@ class B:", "   def f():", "-    x", "+    y")), wanted);
  assert.equal(await patched(file, updating("@@ class B:", "@@ def f():", "-    x", "+    y")), wanted);
  assert.equal(
    await patched(file, updating("@@ class B:", " class B:", "   def f():", "-    x", "+    y")),
    wanted,
  );
});

test("the first hunk may do without @@, the end of the file may be named, lines alone go to the end", async () => {
  assert.equal(await patched("a\nb\n", updating(" a", "-b", "+c")), "a\nc\n");
  assert.equal(await patched("x\na\nx\n", updating("@@", "-x", "+y", "*** End of File")), "x\na\ny\n");
  assert.equal(await patched("a\n", updating("@@", "+b")), "a\nb\n");
  assert.equal(await patched("", updating("@@", "+b")), "b\n");
});

test("hunks apply in order, also of two sections of one file, and blank lines between them are nothing", async () => {
  assert.equal(await patched("a\nb\nc\n", updating("@@", "-a", "+1", "", "@@", "-c", "+3", "")), "1\nb\n3\n");
  assert.equal(
    await patched("a\nb\n", updating("@@", "-a", "+1", "*** Update File: f", "@@", "-b", "+2")),
    "1\n2\n",
  );
});

test("code fences and here-documents around a patch are dropped", async () => {
  const body = updating("@@", "-a", "+b");
  assert.equal(await patched("a\n", "```diff", body, "```"), "b\n");
  assert.equal(await patched("a\n", "<<'EOF'", body, "EOF", ""), "b\n");
  assert.equal(await patched("a\n", "apply_patch <<EOF", body, "EOF"), "b\n");
  assert.equal(await patched("a\n", "", "  ", body, "", ""), "b\n");
});

test("white space at line ends may differ and stays as the file has it; other white space may not", async () => {
  assert.equal(await patched("a  \nb\nc\t\n", updating("@@", " a", "-b", "+B", " c")), "a  \nB\nc\t\n");
  await using at = await lab({ f: "  a\nb\n" });
  await assert.rejects(
    at.patch(updating("@@", " a", "-b", "+c")),
    failing("TEXT_MISMATCH", /hunk 1 of 1 \(@@\) does not fit/, /other white space stand at line 1/),
  );
});

test("line ends of the file stay when the patch has others", async () => {
  assert.equal(await patched("a\r\nb\r\n", updating("@@", " a", "-b", "+c", "+d")), "a\r\nc\r\nd\r\n");
  assert.equal(await patched("a\r\n", updating("@@", "+b")), "a\r\nb\r\n");
  const crlf = updating("@@", " a", "-b", "+c").replaceAll("\n", "\r\n");
  assert.equal(await patched("a\nb\n", crlf), "a\nc\n");
  assert.equal(
    await patched("a\nb\n", "--- f", "+++ f", "@@ -1,2 +1,2 @@", " a\r", "-b\r", "+c\r"),
    "a\nc\n",
  );
});

test("unified diffs: offsets are found, timestamps and text around are passed over", async () => {
  const file = Array.from({ length: 30 }, (_, index) => `line ${String(index)}`).join("\n") + "\n";
  const wanted = file.replace("line 20\n", "LINE 20\n");
  const hunk = [" line 19", "-line 20", "+LINE 20", " line 21"];
  assert.equal(await patched(file, "--- a/f", "+++ b/f", "@@ -3,3 +3,3 @@ label", ...hunk), wanted);
  assert.equal(
    await patched(file, "--- f\t2026-11-21 10:00:00 +0000", "+++ f\t2026", "@@ -20,3 +20,3 @@", ...hunk),
    wanted,
  );
  assert.equal(await patched(file, "--- a/f", "+++ b/f", "@@", ...hunk), wanted);
  assert.equal(await patched(file, "--- a/f", "+++ b/f", "@@ ... @@", ...hunk), wanted);
  const mail = [
    "From 1234 Mon Sep 17",
    "Subject: x",
    "---",
    " f | 2 +-",
    "",
    "diff --git a/f b/f",
    "index 1..2 100644",
  ];
  assert.equal(
    await patched(file, ...mail, "--- a/f", "+++ b/f", "@@ -20,3 +20,3 @@", ...hunk, "-- ", "2.39.5", ""),
    wanted,
  );
});

test("a hunk that fits in several places, none of them where it says, is refused", async () => {
  await using at = await lab({ f: "x\na\nx\nb\nx\n" });
  await assert.rejects(
    at.patch(updating("@@", "-x", "+y")),
    failing("TEXT_MISMATCH", /fits in several places: at lines 1, 3, 5/, /name a line before it/),
  );
  await assert.rejects(
    at.patch("--- f\n+++ f\n@@ -2 +2 @@\n-x\n+y\n"),
    failing("TEXT_MISMATCH", /fits in several places/),
  );
  await at.patch("--- f\n+++ f\n@@ -3 +3 @@\n-x\n+y\n");
  assert.equal((await at.now())["f"], "x\na\ny\nb\nx\n");
});

test("git's own headers: new, deleted, renamed, quoted names, empty files", async () => {
  await using at = await lab({ "old name.txt": "a\nb\n", del: "x\n", empty: "" });
  await at.patch(
    [
      "diff --git a/old name.txt b/new name.txt",
      "similarity index 50%",
      "rename from old name.txt",
      "rename to new name.txt",
      "--- a/old name.txt\t",
      "+++ b/new name.txt\t",
      "@@ -1,2 +1,2 @@",
      " a",
      "-b",
      "+c",
      "diff --git a/del b/del",
      "deleted file mode 100644",
      "--- a/del",
      "+++ /dev/null",
      "@@ -1 +0,0 @@",
      "-x",
      "diff --git a/empty b/empty",
      "deleted file mode 100644",
      "index e69de29..0000000",
      "diff --git a/sub dir/e b/sub dir/e",
      "new file mode 100644",
      "index 0000000..e69de29",
      'diff --git "a/\\303\\244\\t" "b/\\303\\244\\t"',
      "new file mode 100755",
      "--- /dev/null",
      '+++ "b/\\303\\244\\t"',
      "@@ -0,0 +1 @@",
      "+x",
      "\\ No newline at end of file",
      "",
    ].join("\n"),
  );
  assert.deepEqual(await at.now(), { "new name.txt": "a\nc\n", "sub dir/e": "", "ä\t": "x" });
});

test("when one file does not fit, no file changes", async () => {
  const tree = { a: "1\n", b: "2\n" };
  await using at = await lab(tree);
  const patch = envelope(
    ...["*** Add File: c", "+x", "*** Update File: a", "@@", "-1", "+one"],
    ...["*** Update File: b", "@@", "-3", "+two"],
  );
  await assert.rejects(at.patch(patch), failing("TEXT_MISMATCH", /"b": hunk 1 of 1/, /Nothing was changed/));
  assert.deepEqual(await at.now(), tree);
});

test("a patch is worked out anew when a file changes meanwhile, and holds only on what it was worked out on", async () => {
  await using at = await lab({ f: "a\nb\n" });
  at.files.meanwhile = async () => {
    at.files.meanwhile = undefined;
    await writeFile(join(at.path, "f"), "zero\na\nb\n");
  };
  await at.patch(updating("@@", "-b", "+c"));
  assert.equal((await at.now())["f"], "zero\na\nc\n");
  at.files.meanwhile = () => writeFile(join(at.path, "f"), `${String(Math.random())}\nc\n`);
  await assert.rejects(
    at.patch(updating("@@", "-c", "+d")),
    failing("PATH_CHANGED", /no longer/, /Read it again/),
  );
});

test("what is deleted or moved whole is what it was when that was worked out, unless it is large", async () => {
  await using at = await lab({ f: "a\n", large: "x".repeat(5_000_000) });
  for (const lines of [["*** Delete File: f"], ["*** Update File: f", "*** Move to: g"]]) {
    at.files.meanwhile = () => writeFile(join(at.path, "f"), `${String(Math.random())}\n`);
    await assert.rejects(at.patch(envelope(...lines)), failing("PATH_CHANGED", /no longer/, /Read it again/));
  }
  at.files.meanwhile = undefined;
  await at.patch(envelope("*** Update File: large", "*** Move to: moved"));
  await at.patch(envelope("*** Delete File: f"));
  await at.patch(envelope("*** Delete File: moved"));
  assert.deepEqual(await at.now(), {});
});

test("what is there is not added over, what is named twice is refused, a move lands on nothing", async () => {
  const tree = { a: "1\n", b: "2\n" };
  await using at = await lab(tree);
  await assert.rejects(at.patch(envelope("*** Add File: a", "+x")), failing("PATH_CHANGED", /there already/));
  await assert.rejects(
    at.patch(envelope("*** Update File: a", "*** Move to: b", "@@", "-1", "+x")),
    failing("PATH_CHANGED", /"b" with a patch: it is there already/),
  );
  for (const second of ["*** Delete File: a", "*** Delete File: ./a", `*** Delete File: ${at.path}/a`])
    await assert.rejects(
      at.patch(envelope("*** Update File: a", "@@", "-1", "+x", second)),
      failing("INPUT_INVALID", /more than once/),
    );
  await assert.rejects(
    at.patch(envelope("*** Add File: c", "+x", "*** Add File: c", "+y")),
    failing("INPUT_INVALID", /more than once/),
  );
  await assert.rejects(
    at.patch("--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-2\n"),
    failing("TEXT_MISMATCH", /does not fit/),
  );
  assert.deepEqual(await at.now(), tree);
});

test("a deletion by hunks removes only a file that they empty", async () => {
  await using at = await lab({ a: "1\n2\n" });
  await assert.rejects(
    at.patch("--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n"),
    failing("TEXT_MISMATCH", /more lines than the patch removes/),
  );
});

/** Patches that must be refused, each leaving everything as it was. */
const HOSTILE: Readonly<Record<string, string>> = {
  empty: " ",
  words: "please change f",
  "only a fence": "```\n```",
  "begin alone": "*** Begin Patch",
  "no end": "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b",
  "nothing in it": "*** Begin Patch\n*** End Patch",
  "something after the end": `${updating("@@", "-a", "+b")}\n*** Add File: x\n+x`,
  "two envelopes": `${updating("@@", "-a", "+b")}\n${updating("@@", "-b", "+c")}`,
  "unknown section": envelope("*** Replace File: f", "+x"),
  "text before a section": envelope("hello", "*** Update File: f", "@@", "-a", "+b"),
  "update without hunks": updating(),
  "update with an empty hunk": updating("@@"),
  "update with two empty hunks": updating("@@", "@@"),
  "hunk line without a prefix": updating("@@", "-a", "b"),
  "add line without a plus": envelope("*** Add File: x", "x"),
  "add without a path": envelope("*** Add File: ", "+x"),
  "add with white space as path": envelope("*** Add File:    ", "+x"),
  "delete without a path": envelope("*** Delete File: "),
  "move without a path": updating("*** Move to: ", "@@", "-a", "+b"),
  "move to itself": updating("*** Move to: f", "@@", "-a", "+b"),
  "delete what is not there": envelope("*** Delete File: none"),
  "update what is not there": envelope("*** Update File: none", "@@", "-a", "+b"),
  "context that is not there": updating("@@", " zzz", "-a", "+b"),
  "header that is not there": updating("@@ zzz", "-a", "+b"),
  "lines alone after a header": updating("@@ a", "+b"),
  "hunks in the wrong order": updating("@@", "-c", "+3", "@@", "-b", "+1"),
  "overlapping hunks": updating("@@", " a", "-b", "+2", "@@", " a", " b"),
  "end of file that is not there": updating("@@", "-a", "+x", " b", " c", " d", "*** End of File"),
  "NUL in a line": updating("@@", "-a", "+\0"),
  "NUL in a path": envelope("*** Update File: f\0", "@@", "-a", "+b"),
  "half a character": updating("@@", "-a", "+\ud800"),
  "half a character in a new file": envelope("*** Add File: x", "+\udfff"),
  "path upwards": envelope("*** Add File: ../x", "+x"),
  "path upwards inside": envelope("*** Add File: d/../../x", "+x"),
  "absolute path": envelope("*** Add File: /etc/x", "+x"),
  "delete upwards": envelope("*** Delete File: ../../etc/passwd"),
  "move upwards": updating("*** Move to: ../x", "@@", "-a", "+b"),
  "move to an absolute path": updating("*** Move to: /tmp/x", "@@", "-a", "+b"),
  "the folder itself": envelope("*** Add File: .", "+x"),
  "a file as a folder": envelope("*** Add File: f/x", "+x"),
  "a folder as a file": envelope("*** Update File: d", "@@", "-a", "+b"),
  "delete a folder": envelope("*** Delete File: d"),
  "binary file": envelope("*** Update File: bin", "@@", "-a", "+b"),
  "Latin-1 file": envelope("*** Update File: latin", "@@", "-a", "+b"),
  "long path": envelope(`*** Add File: ${"x".repeat(5000)}`, "+x"),
  "201 files": envelope(...Array.from({ length: 201 }, (_, index) => `*** Add File: n${String(index)}\n+x`)),
  "unified without names": "@@ -1 +1 @@\n-a\n+b\n",
  "names without hunks": "--- a/f\n+++ b/f\n",
  "half the names": "--- a/f\n@@ -1 +1 @@\n-a\n+b\n",
  "huge count": "--- a/f\n+++ b/f\n@@ -1,999999999 +1,999999999 @@\n-a\n+b\n",
  "count of twenty digits": "--- a/f\n+++ b/f\n@@ -1,99999999999999999999 +1 @@\n-a\n+b\n",
  "huge start": "--- a/f\n+++ b/f\n@@ -999999999 +1 @@\n-zzz\n+b\n",
  "negative count": "--- a/f\n+++ b/f\n@@ -1,-1 +1 @@\n-a\n+b\n",
  "negative start": "--- a/f\n+++ b/f\n@@ --1 +1 @@\n-a\n+b\n",
  "fraction as start": "--- a/f\n+++ b/f\n@@ -1.5 +1 @@\n-a\n+b\n",
  "hexadecimal start": "--- a/f\n+++ b/f\n@@ -0x1 +1 @@\n-a\n+b\n",
  "no closing @@": "--- a/f\n+++ b/f\n@@ -1 +1\n-a\n+b\n",
  "combined diff": "--- a/f\n+++ b/f\n@@@ -1 -1 +1 @@@\n--a\n++b\n",
  "fewer lines than counted": "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n-a\n+b\n",
  "more lines than counted": "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n+c\n",
  "more context than counted": "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n b\n",
  "too many removed": "--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n-a\n-b\n+c\n+d\n",
  "zero lines": "--- a/f\n+++ b/f\n@@ -0,0 +0,0 @@\n",
  "insertion far behind the end": "--- a/f\n+++ b/f\n@@ -500,0 +501 @@\n+x\n",
  "insertions in the wrong order": "--- a/f\n+++ b/f\n@@ -3,0 +4 @@\n+x\n@@ -1,0 +2 @@\n+y\n",
  "cut in the middle": "--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n-a\n+b",
  "cut at the names": "diff --git a/f b/f\nindex 1..2 100644\n--- a/f",
  "stray line in a bare hunk": "--- a/f\n+++ b/f\n@@\n-a\n+b\nstray\n",
  "bare hunk with nothing": "--- a/f\n+++ b/f\n@@\n\n\n",
  "wrong removed line": "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-A\n+b\n",
  "new file over an old one": "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n",
  "new file with removed lines": "--- /dev/null\n+++ b/x\n@@ -1 +1 @@\n-a\n+x\n",
  "new file with context": "--- /dev/null\n+++ b/x\n@@ -1 +1,2 @@\n a\n+x\n",
  "neither old nor new": "--- /dev/null\n+++ /dev/null\n@@ -0,0 +1 @@\n+x\n",
  "deleted, but with more lines": "--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
  "deleted, with added lines": "--- a/f\n+++ /dev/null\n@@ -1,4 +1 @@\n-a\n-b\n-c\n-a\n+x\n",
  "new symlink":
    "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n",
  "file to symlink": "diff --git a/f b/f\nold mode 100644\nnew mode 120000\n",
  submodule:
    "diff --git a/s b/s\nnew file mode 160000\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+Subproject commit 1\n",
  "set-user-id mode":
    "diff --git a/x b/x\nnew file mode 104755\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n".replace(
      "104755",
      "204755",
    ),
  "old mode alone": "diff --git a/f b/f\nold mode 100644\n",
  "git binary patch": "diff --git a/f b/f\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZP\n",
  "binary files differ": "diff --git a/f b/f\nBinary files a/f and b/f differ\n",
  copy: "diff --git a/f b/x\nsimilarity index 100%\ncopy from f\ncopy to x\n",
  "rename without a target": "diff --git a/f b/x\nsimilarity index 100%\nrename from f\n",
  "rename without a source": "diff --git a/f b/x\nsimilarity index 100%\nrename to x\n",
  "rename upwards": "diff --git a/f b/x\nrename from f\nrename to ../x\n",
  "rename from outside": "diff --git a/f b/x\nrename from ../../etc/passwd\nrename to x\n",
  "rename over a file": "diff --git a/f b/g\nrename from f\nrename to g\n",
  "unified path upwards": "--- a/../x\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n",
  "new file upwards": "--- /dev/null\n+++ b/../../x\n@@ -0,0 +1 @@\n+x\n",
  "new absolute file": "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1 @@\n+x\n",
  "quoted path upwards": '--- /dev/null\n+++ "b/\\056\\056/x"\n@@ -0,0 +1 @@\n+x\n',
  "quoted NUL": '--- /dev/null\n+++ "b/x\\000y"\n@@ -0,0 +1 @@\n+x\n',
  "quote without an end": '--- /dev/null\n+++ "b/x\n@@ -0,0 +1 @@\n+x\n',
  "quoted bytes that are no text": '--- /dev/null\n+++ "b/\\377"\n@@ -0,0 +1 @@\n+x\n',
  "unknown escape": '--- /dev/null\n+++ "b/\\q"\n@@ -0,0 +1 @@\n+x\n',
  "empty name": "--- \n+++ \n@@ -1 +1 @@\n-a\n+b\n",
  "carriage returns as line ends alone": "--- f\r+++ f\r@@ -1 +1 @@\r-a\r+b\r",
  "mark of a missing newline alone": "--- a/f\n+++ b/f\n\\ No newline at end of file\n",
  "line of dashes": "-----\n+++++\n@@@@@\n",
  "ed script": "1c\nb\n.\nw\n",
  "context diff": "*** f\n--- f\n***************\n*** 1 ****\n! a\n--- 1 ----\n! b\n",
};

test("hostile and broken patches are refused, and change nothing", async (t) => {
  const tree = { f: "a\nb\nc\na\n", g: "g\n", "d/x": "x\n", bin: "a\0b\n", latin: "a\xe4\n" };
  await using at = await lab(tree);
  assert.ok(Object.keys(HOSTILE).length >= 100);
  for (const [name, patch] of Object.entries(HOSTILE)) {
    await t.test(name, async () => {
      await assert.rejects(at.patch(patch), (error: Error & { code?: string; hint?: string }) => {
        assert.match(error.code ?? "", /^(?:INPUT|TEXT|PATH)_/, error.message);
        return true;
      });
      assert.deepEqual(await at.now(), tree);
    });
  }
});

test("patches that take long to place are refused in time", () => {
  const lines = "a\n".repeat(500_000);
  const hunks = Array.from({ length: 50 }, () => [
    "@@",
    ...Array.from({ length: 2000 }, () => " a"),
    "-b",
    "+c",
  ]).flat();
  const patches = parsePatch(updating(hunks.join("\n")));
  const [patch] = patches;
  assert.ok(patch?.kind === "update");
  assert.throws(() => applyHunks("f", lines, patch.hunks), failing("INPUT_TOO_LARGE", /takes too long/));
});

const line = fc.oneof(
  fc.constantFrom(
    "",
    "a",
    "b",
    "c",
    "}",
    "--- a/f",
    "+++ b/f",
    "@@ -1 +1 @@",
    "\\ No newline",
    "*** End Patch",
    "x\r",
    "ä",
  ),
  fc.string({ maxLength: 6 }).map((text) => text.replace(/[\n\0\r]|\p{Surrogate}/gu, "")),
);
const content = fc
  .tuple(fc.array(line, { maxLength: 14 }), fc.boolean())
  .map(([lines, newline]) => lines.join("\n") + (newline && lines.length > 0 ? "\n" : ""));

interface Pair {
  readonly before: string;
  readonly after: string;
}

const pair: fc.Arbitrary<Pair> = fc
  .tuple(
    fc.array(fc.tuple(line, fc.constantFrom("keep", "keep", "drop", "new")), { maxLength: 25 }),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([parts, one, two]) => {
    const side = (dropped: string) => parts.filter(([, what]) => what !== dropped).map(([text]) => text);
    const joined = (lines: string[], newline: boolean) =>
      lines.join("\n") + (newline && lines.length > 0 ? "\n" : "");
    return { before: joined(side("new"), one), after: joined(side("drop"), two) };
  });

test("property: what diff -u says of two files makes one of the other, with any amount of context", async () => {
  await using folder = await tempFolder();
  const at = (name: string) => join(folder.path, name);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(pair, fc.record({ before: content, after: content })),
      fc.constantFrom(0, 1, 3),
      async ({ before, after }, context) => {
        fc.pre(before !== after);
        await writeFile(at("f"), before);
        await writeFile(at("g"), after);
        const { stdout } = spawnSync(
          "diff",
          ["-a", `-U${String(context)}`, "--label", "f", "--label", "f", "f", "g"],
          { cwd: folder.path },
        );
        await callTool(sessionAt(folder.path), "apply_patch", { patch: String(stdout) });
        assert.equal(await readFile(at("f"), "utf8"), after);
      },
    ),
    { numRuns: runs(60) },
  );
});

test("property: what git diff says of two trees makes one of the other", async () => {
  await using folder = await tempFolder();
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], {
      cwd: folder.path,
      stdio: ["ignore", "pipe", "ignore"],
    });
  git("init", "-q");
  const name = fc.constantFrom("a", "b b", "d/c", "d/ä", 'q"q', "tab\there");
  const trees = fc.array(fc.tuple(name, fc.constantFrom("both", "old", "new"), pair), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(trees, fc.boolean(), async (files, renames) => {
      const [before, after] = [new Map<string, string>(), new Map<string, string>()];
      for (const [path, where, texts] of files) {
        if (where !== "new") before.set(path, texts.before);
        if (where !== "old") after.set(path, texts.after);
      }
      const put = async (tree: ReadonlyMap<string, string>) => {
        for (const entry of await readdir(folder.path))
          if (entry !== ".git") await rm(join(folder.path, entry), { recursive: true });
        for (const [path, text] of tree) {
          await mkdir(dirname(join(folder.path, path)), { recursive: true });
          await writeFile(join(folder.path, path), text);
        }
        git("add", "-A");
        return String(git("write-tree")).trim();
      };
      const to = await put(after);
      const from = await put(before);
      fc.pre(from !== to);
      const patch = git("diff", "--text", renames ? "-M" : "--no-renames", from, to);
      await callTool(sessionAt(folder.path), "apply_patch", { patch: String(patch) });
      git("add", "-A");
      assert.equal(String(git("write-tree")).trim(), to);
    }),
    { numRuns: runs(12) },
  );
});

test("property: an envelope made from two files makes one of the other, or is refused", async () => {
  await fc.assert(
    fc.asyncProperty(pair, async ({ before, after }) => {
      fc.pre(
        before !== "" && before !== after && before.endsWith("\n") === after.endsWith("\n") && after !== "",
      );
      const lines = (text: string) => text.replace(/\n$/, "").split("\n");
      const patch = updating(
        "@@",
        ...lines(before).map((each) => `-${each}`),
        ...lines(after).map((each) => `+${each}`),
      );
      assert.equal(await patched(latin1(before), patch), latin1(after));
    }),
    { numRuns: runs(80) },
  );
});

test("property: no text makes the reader of patches fail in any other way than by refusing", () => {
  const piece = fc.constantFrom(
    ...[
      "*** Begin Patch",
      "*** End Patch",
      "*** Update File: f",
      "*** Move to: g",
      "*** End of File",
      "@@",
      "@@ -1 +1 @@",
    ],
    ...[
      "--- a/f",
      "+++ b/f",
      "diff --git a/f b/f",
      "rename from f",
      "new file mode 100644",
      " a",
      "-a",
      "+b",
      "",
      "\\ No",
      "```",
    ],
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 8 })), { maxLength: 14 }), (parts) => {
      try {
        parsePatch(parts.join("\n"));
      } catch (error) {
        failing("INPUT_INVALID", /^Cannot read the patch: /)(error);
      }
    }),
    { numRuns: runs(2000) },
  );
});
