import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { GuestFiles, SearchRequest } from "@doorward/guest";
import { FilesLab, code } from "./guest-files-lab.ts";
import { soon, startLab, until, type Lab } from "./guest-harness.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});

const searching = (over: Partial<SearchRequest>): SearchRequest => ({
  ...{ path: ".", pattern: "needle", literal: false, caseSensitive: true, globs: [], ignored: false },
  ...{ context: 0, limit: 100, ...over },
});

/** The same repo, once reached alone and once as part of everything: the answers have to be the same. */
const WAYS = ["alone", "everything"] as const;

async function repoLab(way: (typeof WAYS)[number]): Promise<{ it: FilesLab; files: GuestFiles }> {
  const it = new FilesLab(lab.link);
  execFileSync("git", ["init", "-q", it.repo]);
  it.put("src/a.ts", "one\nneedle two\nthree\n");
  it.put("src/b.ts", "needle b\r\nNEEDLE B\n-dash needle\n");
  it.put("docs/c.md", "needle in docs\n");
  it.put(".gitignore", "built/\n*.log\n");
  it.put("built/out.js", "needle built\n");
  it.put("x.log", "needle log\n");
  it.put(".hidden", "needle hidden\n");
  it.put("binary", Buffer.from("\0\0needle\0\n"));
  symlinkSync(it.outside, it.at("out"));
  it.put("../outside/o.ts", "needle outside\n");
  return { it, files: await it.open([{ path: way === "alone" ? it.repo : "/", access: "rw" }]) };
}

for (const way of WAYS) {
  describe(`with the repo reached ${way === "alone" ? way : `as part of ${way}`}`, () => {
    test("lines are found, sorted by path, and ignored files are left out", async () => {
      const { it, files } = await repoLab(way);
      await using _it = it;
      const { items, truncated } = await files.search(searching({}), soon());
      assert.deepEqual(
        items.map(({ path, line, match, text }) => [path.slice(it.repo.length + 1), line, match, text]),
        [
          ["docs/c.md", 1, true, "needle in docs"],
          ["src/a.ts", 2, true, "needle two"],
          ["src/b.ts", 1, true, "needle b"],
          ["src/b.ts", 3, true, "-dash needle"],
        ],
      );
      assert.equal(truncated, false);
    });

    test("context, case, plain text, globs and ignored files are as asked", async () => {
      const { it, files } = await repoLab(way);
      await using _it = it;
      const texts = async (over: Partial<SearchRequest>): Promise<string[]> =>
        (await files.search(searching(over), soon())).items.map(({ match, text }) =>
          match ? text : `~${text}`,
        );
      assert.deepEqual(await texts({ path: "src/a.ts", context: 1 }), ["~one", "needle two", "~three"]);
      assert.deepEqual(await texts({ path: "src", globs: ["*.md"] }), []);
      assert.deepEqual(await texts({ globs: ["*.md"] }), ["needle in docs"]);
      assert.deepEqual(await texts({ globs: ["!src/**", "!docs"] }), []);
      assert.deepEqual(await texts({ path: "src/b.ts", caseSensitive: false }), [
        "needle b",
        "NEEDLE B",
        "-dash needle",
      ]);
      assert.deepEqual(await texts({ pattern: "needle.b", literal: true }), []);
      assert.deepEqual(await texts({ pattern: "-dash" }), ["-dash needle"]);
      assert.deepEqual(await texts({ pattern: "--pre=touch" }), []);
      assert.equal(
        (await texts({ ignored: true })).filter((text) => /built|log|hidden/.test(text)).length,
        3,
      );
      assert.deepEqual(
        (await texts({ ignored: true })).filter((text) => /outside/.test(text)),
        [],
      );
    });

    test("a wrong pattern or glob is told in ripgrep's words", async () => {
      const { it, files } = await repoLab(way);
      await using _it = it;
      await assert.rejects(
        files.search(searching({ pattern: "(" }), soon()),
        code("INPUT_INVALID", /unclosed group/),
      );
      await assert.rejects(files.search(searching({ globs: ["[a"] }), soon()), code("INPUT_INVALID", /glob/));
      await assert.rejects(
        files.find({ path: ".", glob: "{a", ignored: false, limit: 5 }, soon()),
        code("INPUT_INVALID", /glob/),
      );
      await assert.rejects(files.search(searching({ path: "none" }), soon()), code("PATH_NOT_FOUND"));
      await assert.rejects(files.search(searching({ limit: 1_000_000 }), soon()), code("INPUT_INVALID"));
    });

    test("what is beyond the limit is cut, and that is said", async () => {
      const { it, files } = await repoLab(way);
      await using _it = it;
      it.put("many", "needle\n".repeat(5000));
      it.put("long", `needle ${"x".repeat(500_000)}\n`);
      const cut = await files.search(searching({ path: "many", limit: 7 }), soon());
      assert.deepEqual([cut.items.length, cut.truncated], [7, true]);
      const exact = await files.search(searching({ path: "many", limit: 5000 }), soon());
      assert.deepEqual([exact.items.length, exact.truncated], [5000, false]);
      const { items } = await files.search(searching({ path: "long" }), soon());
      assert.deepEqual([items.length, items[0]?.text.startsWith("needle xxx")], [1, true]);
      assert.ok(Buffer.byteLength(items[0]?.text ?? "") <= 2000);
    });

    test("files are found by name, as ripgrep's globs say", async () => {
      const { it, files } = await repoLab(way);
      await using _it = it;
      const find = async (glob: string, ignored = false, path = "."): Promise<string[]> =>
        (await files.find({ path, glob, ignored, limit: 100 }, soon())).items.map((found) =>
          found.slice(it.repo.length + 1),
        );
      assert.deepEqual(await find("*.ts"), ["src/a.ts", "src/b.ts"]);
      assert.deepEqual(await find("src/*.ts"), ["src/a.ts", "src/b.ts"]);
      assert.deepEqual(await find("*.ts", false, "docs"), []);
      assert.deepEqual(await find("**/*"), ["docs/c.md", "src/a.ts", "src/b.ts"].concat("binary").sort());
      assert.deepEqual(await find("-x"), []);
      assert.deepEqual(await find("*.{log,js}"), ["x.log"]);
      assert.deepEqual(await find("*.{log,js}", true), ["built/out.js", "x.log"]);
      assert.deepEqual(
        (await find("*", true)).filter((name) => name.startsWith(".git/")),
        [],
      );
      const cut = await files.find({ path: ".", glob: "*", ignored: false, limit: 2 }, soon());
      assert.deepEqual([cut.items.length, cut.truncated], [2, true]);
    });
  });
}

test("a search that is given up kills its program", async () => {
  await using it = new FilesLab(lab.link);
  const files = await it.open([{ path: "/", access: "ro" }]);
  const stop = new AbortController();
  const searches = Array.from({ length: 8 }, () =>
    files.search(
      searching({ path: "/usr", pattern: "(a|b|c)*no-such-thing-xyz$", ignored: true }),
      stop.signal,
    ),
  );
  const own = `ps -o comm= --ppid ${String(lab.guest.pid)} | grep -cx rg || true`;
  const running = (): number => Number(execFileSync("bash", ["-c", own]).toString());
  await until("ripgrep runs", () => running() > 0);
  stop.abort();
  for (const { status } of await Promise.allSettled(searches)) assert.equal(status, "rejected");
  await until("ripgrep is gone", () => running() === 0);
});

test("settings of ripgrep and programs that it could run are not taken from the machine", async () => {
  await using it = new FilesLab(lab.link);
  it.put("a", "needle\n");
  it.put(".ripgreprc", "--pre=/bin/false\n");
  const files = await it.open();
  assert.equal((await files.search(searching({ globs: ["--pre=/bin/false", "a"] }), soon())).items.length, 1);
});
