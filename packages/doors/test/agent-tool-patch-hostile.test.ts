import assert from "node:assert/strict";
import { test } from "node:test";
import { applyHunks } from "../src/agent-tool/tools/patch/apply-hunks.ts";
import { parsePatch } from "../src/agent-tool/tools/patch/parse-patch.ts";
import { failing } from "./agent-tool-lab.ts";
import { envelope, lab, updating } from "./agent-tool-patch-lab.ts";

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
