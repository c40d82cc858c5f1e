import assert from "node:assert/strict";
import { chmod, lstat, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { FOUND_FILES } from "../src/agent-tool/tools/find-files.ts";
import { LIST_ENTRIES } from "../src/agent-tool/tools/list-directory.ts";
import { FILE_TOOLS } from "../src/agent-tool/tools/index.ts";
import { WatchedFiles, callTool, failing, sessionAt, tempFolder } from "./agent-tool-lab.ts";

/** A folder with these files, and a file beside it that no session reaches. */
async function lab(tree: Readonly<Record<string, string>>) {
  const folder = await tempFolder();
  const path = join(folder.path, "repo");
  await mkdir(path);
  await writeFile(join(folder.path, "secret"), "SECRET\n");
  for (const [name, content] of Object.entries(tree)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  }
  const session = sessionAt(path);
  return {
    path,
    session,
    outside: join(folder.path, "secret"),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const TREE = {
  "a.ts": "export const one = 1;\nexport const two = 2;\n",
  "src/b.ts": "const ONE = 1;\n// two\n",
  "src/c.md": "one (two)\n",
  ".hidden": "one\n",
  ".ignore": "dropped\n",
  "dropped/x.txt": "one\n",
};

test("a listing is sorted, names kinds and sizes, and goes as deep as asked", async () => {
  await using at = await lab(TREE);
  await symlink("a.ts", join(at.path, "link"));
  const { structured, text, target } = await callTool(at.session, "list_directory", {});
  assert.deepEqual(text.split("\n"), [
    "Listed .: 6 entries",
    ".hidden  4",
    ".ignore  8",
    "a.ts  44",
    "dropped/",
    "link@",
    "src/",
  ]);
  assert.equal(structured.entries[0]?.path, join(at.path, ".hidden"));
  assert.equal(target, at.path);
  const deep = await callTool(at.session, "list_directory", { depth: 2 });
  assert.match(deep.text, /\nsrc\/\nsrc\/b\.ts {2}22\nsrc\/c\.md {2}10$/);
  const empty = await lab({});
  assert.match((await callTool(empty.session, "list_directory", { path: "." })).text, /it is empty/);
  await empty[Symbol.asyncDispose]();
});

test("a long listing and many found files are cut, and that is said", async () => {
  const many = Array.from({ length: LIST_ENTRIES + 1 }, (_, index) => [`f${String(index)}.txt`, ""]);
  await using at = await lab(Object.fromEntries(many) as Record<string, string>);
  const listed = await callTool(at.session, "list_directory", {});
  assert.deepEqual([listed.structured.entries.length, listed.structured.truncated], [LIST_ENTRIES, true]);
  assert.match(listed.text, /\[There is more: .*find_files.*\]$/);
  const found = await callTool(at.session, "find_files", { glob: "*.txt" });
  assert.deepEqual([found.structured.files.length, found.structured.truncated], [FOUND_FILES, true]);
  assert.match(found.text, /^Found more than 1000 files/);
});

test("files are found by glob, hidden and ignored ones only when asked", async () => {
  await using at = await lab(TREE);
  const found = await callTool(at.session, "find_files", { glob: "*.ts" });
  assert.equal(found.text, 'Found 2 files for "*.ts" in .\na.ts\nsrc/b.ts');
  assert.deepEqual(found.structured.files, [join(at.path, "a.ts"), join(at.path, "src/b.ts")]);
  const none = await callTool(at.session, "find_files", { glob: "x.txt" });
  assert.match(none.text, /^Found 0 files[^]*include_ignored/);
  const ignored = await callTool(at.session, "find_files", { glob: "x.txt", include_ignored: true });
  assert.deepEqual(ignored.structured.files, [join(at.path, "dropped/x.txt")]);
  const below = await callTool(at.session, "find_files", { glob: "*", path: "src" });
  assert.deepEqual(below.structured.files, [join(at.path, "src/b.ts"), join(at.path, "src/c.md")]);
});

test("a search gives lines by file, with context, within limits", async () => {
  await using at = await lab(TREE);
  const found = await callTool(at.session, "search_files", { pattern: "one|two", glob: "*.ts" });
  assert.equal(
    found.text,
    'Found 3 lines in 2 files for "one|two" in .\na.ts\n1:export const one = 1;\n2:export const two = 2;\nsrc/b.ts\n2:// two',
  );
  assert.deepEqual(
    [found.structured.matches, found.structured.files, found.structured.truncated],
    [3, 2, false],
  );
  const insensitive = await callTool(at.session, "search_files", {
    pattern: "ONE",
    case_sensitive: false,
    path: "src",
  });
  assert.equal(insensitive.structured.matches, 2);
  const literal = await callTool(at.session, "search_files", { pattern: "(two)", literal: true });
  assert.deepEqual(
    literal.structured.lines.map(({ text }) => text),
    ["one (two)"],
  );
  const context = await callTool(at.session, "search_files", {
    pattern: "two",
    path: "src/b.ts",
    context_lines: 1,
  });
  assert.match(context.text, /\n1-const ONE = 1;\n2:\/\/ two$/);
  const limited = await callTool(at.session, "search_files", { pattern: "o", limit: 1 });
  assert.deepEqual([limited.structured.matches, limited.structured.truncated], [1, true]);
  assert.match(limited.text, /^Found more than 1 line[^]*narrower pattern/);
  const none = await callTool(at.session, "search_files", { pattern: "zzz" });
  assert.match(none.text, /^Found nothing for "zzz" in \.\n\[Hidden and ignored/);
});

test("patterns that are none, paths outside and links that lead there are refused", async () => {
  await using at = await lab(TREE);
  await symlink(at.outside, join(at.path, "out"));
  await symlink(dirname(at.outside), join(at.path, "up"));
  const { session } = at;
  const expression = failing("INPUT_INVALID", /./, /set literal to true/);
  for (const pattern of ["(", "[z-a]", "(?=x)", "a\\nb", "a{99999}{99999}"])
    await assert.rejects(callTool(session, "search_files", { pattern }), expression, pattern);
  const glob = failing("INPUT_INVALID", /./, /Mend the glob/);
  await assert.rejects(callTool(session, "find_files", { glob: "[" }), glob);
  await mkdir(join(at.path, "regex"));
  for (const asked of [{ glob: "[" }, { glob: "regex[" }, { glob: "[", path: "regex" }])
    await assert.rejects(callTool(session, "search_files", { pattern: "S", ...asked }), glob);
  for (const path of ["..", "/", "up", "../secret", "out", "src/../../secret", at.outside, "/etc/passwd"]) {
    const refused = failing("PATH_NOT_ALLOWED", /./);
    await assert.rejects(callTool(session, "list_directory", { path }), refused);
    await assert.rejects(callTool(session, "find_files", { glob: "*", path }), refused);
    await assert.rejects(callTool(session, "search_files", { pattern: "S", path }), refused);
    await assert.rejects(callTool(session, "read_file", { path }), refused);
    await assert.rejects(
      callTool(session, "write_file", { path: `${path}/x`, content: "x" }),
      /PATH_|Cannot/,
    );
    const edits = [{ old_text: "S", new_text: "x" }];
    await assert.rejects(callTool(session, "edit_file", { path, edits }), refused);
  }
  for (const path of ["none", "a.ts/x", "src\0", "x".repeat(4096)])
    await assert.rejects(callTool(session, "list_directory", { path }), /Cannot/);
  await assert.rejects(
    callTool(session, "list_directory", { path: "a.ts" }),
    failing("PATH_NOT_DIRECTORY", /a\.ts/),
  );
  assert.equal(String(await readFile(at.outside)), "SECRET\n");
});

test("what a grant covers for reading alone, and protected names, are read and not changed", async () => {
  await using at = await lab({ ...TREE, ".git/hooks/x": "x\n", ".git/HEAD": "ref: refs/heads/main\n" });
  const readOnly = new WatchedFiles([{ path: at.path, access: "ro" }], at.path);
  const guarded = new WatchedFiles([{ path: at.path, access: "rw", protected: [".git/hooks"] }], at.path);
  for (const [files, path] of [
    [readOnly, "a.ts"],
    [guarded, ".git/hooks/x"],
  ] as const) {
    const session = sessionAt(at.path, { files });
    const content = (await callTool(session, "read_file", { path })).structured.content;
    const old_text = content.split("\n")[0] ?? "";
    const refused = failing("PATH_NOT_ALLOWED", /./);
    await assert.rejects(callTool(session, "write_file", { path, content: "y" }), refused);
    await assert.rejects(
      callTool(session, "edit_file", { path, edits: [{ old_text, new_text: "y" }] }),
      refused,
    );
    for (const patch of [
      `*** Delete File: ${path}`,
      `*** Update File: ${path}\n*** Move to: z`,
      `*** Update File: ${path}\n@@\n-${old_text}\n+y`,
    ])
      await assert.rejects(
        callTool(session, "apply_patch", { patch: `*** Begin Patch\n${patch}\n*** End Patch` }),
        refused,
      );
    assert.equal(String(await readFile(join(at.path, path))), content);
  }
});

test("a link is changed at its target, and deleted itself; modes stay", async () => {
  await using at = await lab({ "real.sh": "one\n" });
  await chmod(join(at.path, "real.sh"), 0o755);
  await symlink("real.sh", join(at.path, "link"));
  const patch = (...lines: string[]) =>
    callTool(at.session, "apply_patch", { patch: ["*** Begin Patch", ...lines, "*** End Patch"].join("\n") });
  await callTool(at.session, "edit_file", { path: "link", edits: [{ old_text: "one", new_text: "two" }] });
  await patch("*** Update File: link", "@@", "-two", "+three");
  assert.equal(String(await readFile(join(at.path, "real.sh"))), "three\n");
  assert.ok((await lstat(join(at.path, "link"))).isSymbolicLink());
  const both = ["*** Update File: real.sh", "*** Move to: moved.sh", "@@", "-three", "+four"];
  await patch("*** Delete File: link");
  await patch(...both);
  await patch("*** Update File: moved.sh", "*** Move to: d/moved.sh");
  await patch("*** Update File: d/moved.sh", "@@", "-four", "+five");
  assert.equal((await stat(join(at.path, "d/moved.sh"))).mode & 0o777, 0o755);
  assert.equal(String(await readFile(join(at.path, "d/moved.sh"))), "five\n");
});

test("a diff makes programs of files and files of programs, with and without changing or moving them", async () => {
  await using at = await lab({ a: "one\n", b: "two\n", c: "three\n", bin: "\0" });
  for (const name of ["b", "c"]) await chmod(join(at.path, name), 0o755);
  const patch = [
    ...["diff --git a/a b/a", "old mode 100644", "new mode 100755"],
    ...["diff --git a/bin b/bin", "old mode 100644", "new mode 100755"],
    ...["diff --git a/b b/b", "old mode 100755", "new mode 100644", "--- a/b", "+++ b/b"],
    ...["@@ -1 +1 @@", "-two", "+2"],
    ...["diff --git a/c b/d", "old mode 100755", "new mode 100644", "rename from c", "rename to d"],
    ...["diff --git a/e b/e", "new file mode 100755", "--- /dev/null", "+++ b/e", "@@ -0,0 +1 @@", "+5", ""],
  ];
  await callTool(at.session, "apply_patch", { patch: patch.join("\n") });
  const executable = async (name: string) => ((await stat(join(at.path, name))).mode & 0o111) !== 0;
  assert.deepEqual(await Promise.all(["a", "bin", "b", "d", "e"].map(executable)), [
    true,
    true,
    false,
    false,
    true,
  ]);
  const now = await Promise.all(
    ["a", "bin", "b", "d", "e"].map((name) => readFile(join(at.path, name), "utf8")),
  );
  assert.deepEqual(now, ["one\n", "\0", "2\n", "three\n", "5\n"]);
});

test("a cancelled call ends with its signal, and changes nothing", async () => {
  await using at = await lab(TREE);
  const signal = AbortSignal.abort();
  for (const [name, args] of [
    ["read_file", { path: "a.ts" }],
    ["search_files", { pattern: "one" }],
    ["write_file", { path: "a.ts", content: "x" }],
    ["git_status", {}],
  ] as const) {
    const tool = FILE_TOOLS.find((each) => each.name === name)!;
    const call = {
      session: at.session,
      signal,
      shown: null,
      progress: () => undefined,
      pend: () => assert.fail(),
    };
    await assert.rejects(tool.call(tool.input.parse(args), call), failing("ABORTED", /./));
  }
  assert.equal(String(await readFile(join(at.path, "a.ts"))), TREE["a.ts"]);
});
