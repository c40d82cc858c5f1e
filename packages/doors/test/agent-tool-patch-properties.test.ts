import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { parsePatch } from "../src/agent-tool/tools/patch/parse-patch.ts";
import { callTool, failing, sessionAt, tempFolder } from "./agent-tool-lab.ts";
import { latin1, patched, updating } from "./agent-tool-patch-lab.ts";

/** Runs of each property, times this: DOORWARD_TEST_RUNS; 10 on a host of one's own. */
const TIMES = Number(process.env["DOORWARD_TEST_RUNS"] ?? "1");
const runs = (usual: number): number => Math.ceil(usual * TIMES);

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
