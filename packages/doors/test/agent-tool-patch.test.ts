import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { digestOf, failing } from "./agent-tool-lab.ts";
import { envelope, lab, patched, updating } from "./agent-tool-patch-lab.ts";

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
