import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { after, before, describe, test } from "node:test";
import type { FileChange } from "@doorward/guest";
import { FilesLab, code, put, sha, whole } from "./guest-files-lab.ts";
import { soon, startLab, type Lab } from "./guest-harness.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});

const remove = (path: string, expect: FileChange["expect"] = "any"): FileChange => ({
  kind: "remove",
  path,
  expect,
});
const move = (path: string, to: string, expect: FileChange["expect"] = "any"): FileChange => ({
  ...{ kind: "move", path, to, expect },
  parents: false,
});

describe("changing", () => {
  test("a file is written whole, and its answer says what it is now", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open();
    const made = await files.change(
      [put("new", "one"), put("deep/er/new", "two", { parents: true })],
      soon(),
    );
    assert.deepEqual(made, [
      { path: it.at("new"), digest: sha("one"), created: true },
      { path: it.at("deep/er/new"), digest: sha("two"), created: true },
    ]);
    const again = await files.change([put("new", "three")], soon());
    assert.deepEqual(again, [{ path: it.at("new"), digest: sha("three"), created: false }]);
    assert.equal(readFileSync(it.at("new"), "utf8"), "three");
    assert.deepEqual(await files.change([], soon()), []);
    assert.deepEqual(it.leftovers(), []);
  });

  test("a change may say whether a file is a program, as far as it can be read", async () => {
    await using it = new FilesLab(lab.link);
    for (const [name, mode] of [
      ["private", 0o600],
      ["run.sh", 0o751],
      ["tool", 0o755],
    ] as const)
      chmodSync(it.put(name, "a"), mode);
    it.put("usual", "a");
    const files = await it.open();
    const changes = [
      put("private", "b", { executable: true }),
      put("run.sh", "b", { executable: false }),
      put("tool", "b", { executable: true }),
      put("new", "b", { executable: true }),
      put("new.txt", "b", { executable: false, expect: "absent" }),
    ];
    await files.change(changes, soon());
    const mode = (name: string): number => statSync(it.at(name)).mode & 0o777;
    assert.deepEqual(["private", "run.sh", "tool"].map(mode), [0o700, 0o640, 0o755]);
    assert.equal(mode("new.txt"), mode("usual"));
    assert.equal(mode("new"), mode("usual") | ((mode("usual") & 0o444) >> 2));
  });

  test("a replaced file keeps its mode, and a new one is as its folder's others", async () => {
    await using it = new FilesLab(lab.link);
    chmodSync(it.put("run.sh", "a"), 0o751);
    chmodSync(it.put("private", "a"), 0o600);
    it.put("usual", "a");
    const files = await it.open();
    await files.change([put("run.sh", "b"), put("private", "b"), put("new", "b")], soon());
    const mode = (name: string): number => statSync(it.at(name)).mode & 0o777;
    assert.deepEqual([mode("run.sh"), mode("private"), mode("new")], [0o751, 0o600, mode("usual")]);
  });

  test("a symlinked file is replaced at its target, a dangling link's target is made, and a removed link is the link", async () => {
    await using it = new FilesLab(lab.link);
    it.put("real/file", "old");
    symlinkSync("real/file", it.at("link"));
    symlinkSync("real/none", it.at("dangling"));
    symlinkSync("../outside/new", it.at("out"));
    const files = await it.open();
    const [changed, made] = await files.change([put("link", "new"), put("dangling", "made")], soon());
    assert.equal(changed?.path, it.at("real/file"));
    assert.equal(made?.path, it.at("real/none"));
    assert.equal(readlinkSync(it.at("link")), "real/file");
    assert.equal(readFileSync(it.at("real/file"), "utf8"), "new");
    await assert.rejects(files.change([put("out", "x")], soon()), code("PATH_NOT_ALLOWED"));
    await files.change([remove("link", { digest: sha("new") }), move("out", "still-out")], soon());
    assert.equal(existsSync(it.at("link")), false);
    assert.equal(readlinkSync(it.at("still-out")), "../outside/new");
    assert.equal(existsSync(it.at("real/file")), true);
  });

  test("of a file with several names the one that is written is another file afterwards", async () => {
    await using it = new FilesLab(lab.link);
    linkSync(it.put("one", "old"), it.at("two"));
    const files = await it.open();
    await files.change([put("one", "new")], soon());
    assert.equal(readFileSync(it.at("one"), "utf8"), "new");
    assert.equal(readFileSync(it.at("two"), "utf8"), "old");
  });

  test("files and folders are moved and removed, and nothing is moved over what exists", async () => {
    await using it = new FilesLab(lab.link);
    for (const path of ["a", "b", "folder/x", "taken/y"]) it.put(path, path);
    mkdirSync(it.at("empty"));
    const files = await it.open();
    await files.change([move("a", "c"), move("folder", "other"), remove("empty"), remove("b")], soon());
    assert.equal(readFileSync(it.at("other/x"), "utf8"), "folder/x");
    assert.deepEqual(
      ["a", "b", "folder", "empty"].map((name) => existsSync(it.at(name))),
      Array(4).fill(false),
    );
    await assert.rejects(files.change([move("c", "taken")], soon()), code("PATH_CHANGED", /exists/));
    await assert.rejects(files.change([move("other", "taken")], soon()), code("PATH_CHANGED"));
    await assert.rejects(files.change([remove("other")], soon()), code("PATH_INVALID", /not empty/));
    await assert.rejects(files.change([remove("none")], soon()), code("PATH_NOT_FOUND"));
    await assert.rejects(files.change([move("c", "no/where")], soon()), code("PATH_NOT_FOUND"));
    await assert.rejects(files.change([move("other", "other/in")], soon()), code("PATH_INVALID"));
    await assert.rejects(files.change([put("other", "x")], soon()), code("PATH_INVALID", /folder/));
    await assert.rejects(files.change([put("c/x", "x")], soon()), code("PATH_NOT_DIRECTORY"));
  });

  test("what a change expects is checked for all before anything is done", async () => {
    await using it = new FilesLab(lab.link);
    it.put("a", "old");
    it.put("b", "old");
    const files = await it.open();
    const wrong: FileChange[] = [
      put("b", "x", { expect: { digest: sha("other") } }),
      put("b", "x", { expect: "absent" }),
      put("none", "x", { expect: { digest: sha("old") } }),
      remove("b", { digest: sha("other") }),
      move("b", "c", { digest: sha("other") }),
    ];
    for (const change of wrong) {
      const all = [put("a", "new"), put("fresh/file", "new", { parents: true }), change];
      await assert.rejects(files.change(all, soon()), code("PATH_CHANGED"));
      assert.equal(readFileSync(it.at("a"), "utf8"), "old");
      assert.equal(existsSync(it.at("fresh")), false);
    }
    const right = { digest: sha("old") };
    const fine = [
      put("a", "new", { expect: right }),
      move("b", "c", right),
      put("d", "new", { expect: "absent" }),
    ];
    await files.change(fine, soon());
    assert.deepEqual(it.leftovers(), []);
  });

  test("two changes of one path are refused, however it is written", async () => {
    await using it = new FilesLab(lab.link);
    it.put("a", "x");
    symlinkSync("a", it.at("link"));
    const files = await it.open();
    for (const changes of [
      [put("a", "1"), put("./a", "2")],
      [put("link", "1"), remove("a")],
      [move("a", "b"), put("b", "")],
    ])
      await assert.rejects(files.change(changes, soon()), code("INPUT_INVALID"));
    assert.equal(readFileSync(it.at("a"), "utf8"), "x");
  });

  test("a change that fails late says what was done", async () => {
    await using it = new FilesLab(lab.link);
    it.put("a", "old");
    it.put("full/file", "x");
    const files = await it.open();
    const failing = files.change([put("a", "new"), remove("full"), put("b", "new")], soon());
    await assert.rejects(failing, code("PATH_INVALID", /1 of 3 changes were done before it: ".*\/a"/));
    assert.equal(readFileSync(it.at("a"), "utf8"), "new");
    assert.equal(existsSync(it.at("b")), false);
    assert.deepEqual(it.leftovers(), []);
  });

  test("writes that run at once are whole, each its own", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open();
    const contents = Array.from({ length: 40 }, (_, at) => randomBytes(at % 4 === 0 ? 2_000_000 : 100 + at));
    await Promise.all(
      contents.map((bytes, at) =>
        files.change(
          [{ ...put(`f${String(at)}`, ""), kind: "write", bytes, expect: "absent", parents: false }],
          soon(30_000),
        ),
      ),
    );
    for (const [at, bytes] of contents.entries())
      assert.ok(readFileSync(it.at(`f${String(at)}`)).equals(bytes));
    assert.deepEqual(it.leftovers(), []);
  });

  test("a refused change in the middle of its bytes does not hold up the next one", async () => {
    await using it = new FilesLab(lab.link);
    it.put("a", "old");
    const files = await it.open();
    const bytes = randomBytes(30_000_000);
    const refused = [put("a", "", { bytes, expect: "absent" }), put("/etc/x", "", { bytes })];
    for (const change of refused) {
      const [bad, good] = await Promise.allSettled([
        files.change([change], soon()),
        files.change([put("b", "", { bytes })], soon()),
      ]);
      assert.deepEqual([bad.status, good.status], ["rejected", "fulfilled"]);
    }
    assert.equal((await files.read("b", whole, soon())).digest, sha(bytes));
  });

  test("a write that is given up leaves nothing, and the stream goes on", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open();
    const bytes = randomBytes(100_000_000);
    const stop = new AbortController();
    const writing = files.change([put("deep/large", "", { bytes, parents: true })], stop.signal);
    setTimeout(() => stop.abort(), 300);
    await writing.catch(() => undefined);
    await files.change([put("small", "x")], soon());
    assert.deepEqual(it.leftovers(), []);
    if (existsSync(it.at("deep/large"))) assert.equal(statSync(it.at("deep/large")).size, bytes.length);
  });

  test("too many changes, and too many bytes, are refused before they are sent", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open();
    const many = Array.from({ length: 1001 }, (_, at) => put(`f${String(at)}`, "x"));
    await assert.rejects(files.change(many, soon()), code("INPUT_TOO_LARGE"));
    const large = { ...put("f", ""), bytes: Buffer.alloc(268_435_457) } as FileChange;
    await assert.rejects(files.change([large], soon()), code("INPUT_TOO_LARGE"));
  });
});

describe("protected names", () => {
  const PROTECTED = [
    ".vscode",
    ".envrc",
    ".claude/settings.json",
    ".git/hooks",
    ".git/config",
    ".git/commondir",
  ];

  async function guarded(it: FilesLab): ReturnType<FilesLab["open"]> {
    return await it.open([{ path: it.repo, access: "rw", protected: PROTECTED }]);
  }

  test("new ones are refused, with the reason, in any case and behind links", async () => {
    await using it = new FilesLab(lab.link);
    it.put("src/file", "x");
    it.put("free/.git/HEAD", "ref: refs/heads/main\n");
    symlinkSync("src", it.at(".claude"));
    symlinkSync(".vscode", it.at("code"));
    const files = await guarded(it);
    const paths = [
      ...[
        ".vscode/tasks.json",
        ".VSCode/tasks.json",
        ".envrc",
        ".vscode",
        "src/../.envrc",
        "code/tasks.json",
      ],
      ...[
        ".claude/settings.json",
        ".git/config",
        ".git/HEAD",
        "src/.git/config",
        "src/.GIT",
        "a/b/.git/hooks/post-commit",
      ],
      ...[
        "free/.vscode/tasks.json",
        "free/.envrc",
        "free/.git/config",
        "free/.git/Hooks/x",
        "free/.git/modules/m/config",
      ],
      it.at(".envrc"),
    ];
    for (const path of paths) {
      await assert.rejects(
        files.change([put(path, "evil", { parents: true })], soon()),
        code("PATH_NOT_ALLOWED", /is protected/),
        path,
      );
      await assert.rejects(files.change([move("src/file", path)], soon()), code("PATH_NOT_ALLOWED"), path);
    }
    for (const path of [".vscode", ".claude", "free/.git", ".git"].filter((name) => !existsSync(it.at(name))))
      await assert.rejects(files.change([move("src", path)], soon()), code("PATH_NOT_ALLOWED"), path);
  });

  test("those that exist stay, and so do the folders that they lie in", async () => {
    await using it = new FilesLab(lab.link);
    for (const path of [".vscode/tasks.json", ".claude/settings.json", ".git/config", ".git/HEAD"])
      it.put(path, "mine");
    const files = await guarded(it);
    for (const path of [".vscode/tasks.json", ".claude/settings.json", ".git/config"]) {
      for (const change of [put(path, "evil"), remove(path), move(path, "away")])
        await assert.rejects(files.change([change], soon()), code("PATH_NOT_ALLOWED"), path);
    }
    for (const path of [".vscode", ".claude", ".git"])
      await assert.rejects(files.change([move(path, "away")], soon()), code("PATH_NOT_ALLOWED"), path);
  });

  test("names that only look alike are free", async () => {
    await using it = new FilesLab(lab.link);
    it.put(".git/HEAD", "ref: refs/heads/main\n");
    const files = await guarded(it);
    const free = [
      "src/.vscode/x",
      ".claude/skills/x",
      ".vscode-test/x",
      ".gitignore",
      "config",
      ".git/COMMIT_EDITMSG",
      ".github/x",
    ];
    for (const path of free) await files.change([put(path, "x", { parents: true })], soon());
    assert.equal(lstatSync(it.at(".claude/skills/x")).isFile(), true);
  });
});

test("a file that changed between its check and its turn is left as it is", async () => {
  await using it = new FilesLab(lab.link);
  it.put("a", "old");
  const files = await it.open();
  const bytes = randomBytes(200_000_000);
  const changing = files.change(
    [put("big", "", { bytes }), put("a", "new", { expect: { digest: sha("old") } })],
    soon(60_000),
  );
  const failed = assert.rejects(changing, code("PATH_CHANGED", /changed meanwhile/));
  while (it.leftovers().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  writeFileSync(it.at("a"), "theirs");
  await failed;
  assert.equal(readFileSync(it.at("a"), "utf8"), "theirs");
  assert.equal(existsSync(it.at("big")), false);
  assert.deepEqual(it.leftovers(), []);
});
