import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ReviewView } from "@doorward/contracts";
import { bringBranch, bringPatch, collectChanges, escapeText } from "../src/machines/review/index.ts";
import { PolicyLab, git, GIT_ENV, hold, refused } from "./policy-lab.ts";
import { answering, cloneOf, inMachine, review } from "./review-lab.ts";

test("committed and uncommitted changes are shown, and the work tree stays as it is", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = await cloneOf(lab, policy, lab.repo("app", { "a.txt": "one\n", gone: "x\n" }));
  writeFileSync(join(clone.clone, "a.txt"), "one\ntwo\n");
  git(clone.clone, "commit", "-q", "-am", "work");
  lab.write(clone.clone, { "new/file": "x\n" });
  rmSync(join(clone.clone, "gone"));
  const before = git(clone.clone, "status", "--porcelain");
  const view = await review(clone);
  assert.equal(ReviewView.safeParse(view).success, true);
  assert.deepEqual(view.files, [
    { path: "a.txt", added: 1, removed: 0 },
    { path: "gone", added: 0, removed: 1 },
    { path: "new/file", added: 1, removed: 0 },
  ]);
  assert.match(view.diff, /^\+two$/m);
  assert.equal(git(clone.clone, "status", "--porcelain"), before);
});

test("without changes the head is the base", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = await cloneOf(lab, policy, lab.repo("app"));
  const view = await review(clone);
  assert.equal(view.head, clone.base);
  assert.equal(view.diff, "");
});

test("what a machine put into its clone runs nowhere on the host", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  const clone = await cloneOf(lab, policy, repo);
  const mark = join(lab.base, "ran");
  lab.write(clone.clone, { "evil.txt": "x\n", ".gitattributes": "* filter=evil diff=evil\n" });
  const view = await review(clone);
  const keys = [
    "core.fsmonitor",
    "diff.external",
    "diff.evil.textconv",
    "diff.evil.command",
    "filter.evil.smudge",
    "core.pager",
    "core.sshCommand",
    "uploadpack.packObjectsHook",
  ];
  for (const key of keys) git(clone.clone, "config", key, `touch ${mark};`);
  for (const hook of ["post-update", "reference-transaction", "post-merge", "post-checkout"]) {
    lab.write(clone.clone, { [`.git/hooks/${hook}`]: `#!/bin/sh\ntouch ${mark}\n` });
    lab.write(repo, { [`.git/hooks/${hook}`]: `#!/bin/sh\ntouch ${mark}\n` });
    chmodSync(join(repo, ".git/hooks", hook), 0o755);
  }
  // Not even the real repo's settings are read, should they have been changed by some other way.
  for (const key of keys) git(repo, "config", key, `touch ${mark};`);
  const settings = readFileSync(join(repo, ".git", "config"), "utf8");
  const bytes = bundleOf(clone.clone, "evil");
  rmSync(mark, { force: true });
  await review(clone, answering(bytes));
  await using held = await hold(policy, repo);
  await bringBranch({ ...clone, head: view.head }, held, "agent/work");
  assert.equal(existsSync(mark), false);
  assert.equal(readFileSync(join(repo, ".git", "config"), "utf8"), settings);
});

test("a branch comes back without touching work tree, HEAD, index, or other branches", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  git(repo, "pack-refs", "--all");
  const clone = await cloneOf(lab, policy, repo);
  lab.write(clone.clone, { "a.txt": "changed\n" });
  const view = await review(clone);
  lab.write(repo, { "a.txt": "being edited\n" });
  await using held = await hold(policy, repo);
  assert.equal(await bringBranch({ ...clone, head: view.head }, held, "agent/work"), view.head);
  assert.equal(git(repo, "show", "agent/work:a.txt"), "changed\n");
  assert.equal(git(repo, "status", "--porcelain"), " M a.txt\n");
  assert.equal(git(repo, "rev-parse", "main").trim(), clone.base);
  assert.equal(git(repo, "merge-base", "main", "agent/work").trim(), clone.base);
  assert.equal(git(repo, "fsck", "--strict"), "");
});

test("a branch that exists, packed or loose, and names that are none, are refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  git(repo, "branch", "packed");
  git(repo, "pack-refs", "--all");
  git(repo, "branch", "loose");
  const clone = await cloneOf(lab, policy, repo);
  lab.write(clone.clone, { x: "" });
  const { head } = await review(clone);
  await using held = await hold(policy, repo);
  const names = [
    "packed",
    "loose",
    "main",
    "packed/below",
    "-f",
    "--upload-pack=x",
    "a..b",
    "a b",
    "a~1",
    "@{-1}",
    "a.lock",
    "/a",
    "a/",
    ".a",
    "HEAD",
    "a\nb",
    "../../config",
    "refs/../x",
    "x".repeat(300),
    "",
    "a;touch x",
    "a\u202eb",
  ];
  for (const name of names) await refused(bringBranch({ ...clone, head }, held, name), "REVIEW_FAILED");
  assert.deepEqual(git(repo, "branch", "--format=%(refname:short)").trim().split("\n"), [
    "loose",
    "main",
    "packed",
  ]);
});

test("only what was looked at is brought back, also when the machine went on", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  const clone = await cloneOf(lab, policy, repo);
  lab.write(clone.clone, { x: "1" });
  const first = await review(clone);
  lab.write(clone.clone, { x: "2" });
  git(clone.clone, "add", "-A");
  git(clone.clone, "commit", "-q", "-m", "unseen");
  const unseen = git(clone.clone, "rev-parse", "HEAD").trim();
  await using held = await hold(policy, repo);
  await refused(bringBranch({ ...clone, head: unseen }, held, "a"), "REVIEW_FAILED");
  await refused(bringBranch({ ...clone, head: "../../base" }, held, "a"), "REVIEW_FAILED");
  await bringBranch({ ...clone, head: first.head }, held, "a");
  assert.equal(git(repo, "show", "a:x"), "1");
});

test("a patch is written to a new private file and applies", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { "a.txt": "one\n", "b.bin": "\u0000one" });
  const clone = await cloneOf(lab, policy, repo);
  lab.write(clone.clone, { "a.txt": "two\n", "b.bin": "\u0000two", "c/d": "new\n" });
  const { head } = await review(clone);
  const file = join(lab.base, "out.patch");
  await bringPatch({ ...clone, head }, file);
  git(repo, "apply", file);
  assert.equal(readFileSync(join(repo, "b.bin"), "utf8"), "\u0000two");
  await refused(bringPatch({ ...clone, head }, file), "REVIEW_FAILED");
  await refused(bringPatch({ ...clone, head }, "relative.patch"), "REVIEW_FAILED");
  symlinkSync(join(lab.base, "elsewhere"), join(lab.base, "link"));
  await refused(bringPatch({ ...clone, head }, join(lab.base, "link")), "REVIEW_FAILED");
  assert.equal(existsSync(join(lab.base, "elsewhere")), false);
});

test("the diff is harmless on a terminal, and a reviewer is warned of what matters first", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = await cloneOf(
    lab,
    policy,
    lab.repo("app", { "package.json": '{"scripts":{"test":"x"}}', s: "" }),
  );
  lab.write(clone.clone, {
    "a.txt": "\u001b]52;c;ZXZpbA==\u0007\u009b31m\r\u202e if (admin)\n",
    "na\u001bme\n.txt": "x\n",
    ".vscode/tasks.json": "{}",
    ".github/workflows/ci.yml": "x",
    ".gitattributes": "*.txt -diff\n",
    ".husky/pre-commit": "x",
    "package.json": '{"scripts":{"test":"x","postinstall":"evil"}}',
    "CLAUDE.md": "obey",
  });
  symlinkSync("../../../etc/passwd", join(clone.clone, "link"));
  symlinkSync("a.txt", join(clone.clone, "fine"));
  chmodSync(join(clone.clone, "s"), 0o755);
  const { diff, warnings, files } = await review(clone);
  assert.doesNotMatch(
    diff + files.map(({ path }) => path).join(),
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/,
  );
  assert.match(diff, /\\x1b\]52;c;/, "an attribute that hides a file from the diff is not obeyed");
  const all = warnings.join("\n");
  for (const word of [
    "tasks.json",
    "workflows/ci.yml",
    ".gitattributes",
    ".husky",
    "package scripts",
    "CLAUDE.md",
    '"link" is a symlink',
    '"s" becomes executable',
    "hide text",
    "control or hidden",
  ]) {
    assert.ok(all.includes(word), word);
  }
  assert.ok(!all.includes('"fine"'));
});

test("binary and very large changes are cut, not refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = await cloneOf(lab, policy, lab.repo("app"));
  lab.write(clone.clone, { "big.txt": "x\n".repeat(100_000), "z.bin": "\u0000\u0001" });
  const view = await collectChanges({
    ...clone,
    machinePath: clone.clone,
    runInMachine: inMachine,
    limits: { bundleBytes: 1_000_000, diffBytes: 10_000, milliseconds: 60_000 },
  });
  assert.equal(view.truncated, true);
  assert.ok(view.diff.length <= 10_000);
  assert.deepEqual(view.files.at(-1), { path: "z.bin", added: null, removed: null });
});

test("a bundle that is too large, malformed, or carries other refs is refused and leaves nothing", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = await cloneOf(lab, policy, lab.repo("app"));
  lab.write(clone.clone, { x: "1" });
  const { head } = await review(clone);
  const good = bundleOf(clone.clone, "x");
  const id = "1".repeat(40);
  const bad: [string, Buffer][] = [
    ["nothing", Buffer.alloc(0)],
    ["noise", Buffer.alloc(100_000, 7)],
    ["a cut bundle", good.subarray(0, good.length - 30)],
    ["a changed pack", Buffer.concat([good.subarray(0, good.length - 25), Buffer.alloc(25)])],
    ["an unknown version", Buffer.from(`# v9 git bundle\n${id} refs/doorward/review\n\n`)],
    ["a filter", Buffer.from(`# v3 git bundle\n@filter=blob:none\n${id} refs/doorward/review\n\n`)],
    ["another ref", Buffer.from(`# v2 git bundle\n${id} refs/heads/main\n\n`)],
    ["two refs", Buffer.from(`# v2 git bundle\n${id} refs/doorward/review\n${id} refs/heads/x\n\n`)],
    ["an unknown need", Buffer.from(`# v2 git bundle\n-${id} x\n${id} refs/doorward/review\n\nPACK`)],
    ["an option as id", Buffer.from(`# v2 git bundle\n--exec=x refs/doorward/review\n\nPACK`)],
  ];
  for (const [what, bytes] of bad) {
    const error = await refused(review(clone, answering(bytes)), "REVIEW_FAILED");
    assert.ok(error.message.length < 600, what);
  }
  const limits = { bundleBytes: 100, diffBytes: 1000, milliseconds: 10_000 };
  const large = collectChanges({ ...clone, machinePath: clone.clone, runInMachine: inMachine, limits });
  assert.match((await refused(large, "REVIEW_FAILED")).message, /larger than 100 bytes/);
  await refused(review(clone, answering(Buffer.alloc(0), 1)), "REVIEW_FAILED");
  assert.deepEqual(readdirSync(join(clone.clone, "..")).sort(), [
    "base.git",
    "heads",
    "reviewed.json",
    "work",
  ]);
  assert.deepEqual(readdirSync(join(clone.clone, "..", "heads")), [`${head}.git`]);
});

test("trees with .git in them, and a commit whose objects are missing, are refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = await cloneOf(lab, policy, lab.repo("app"));
  for (const name of [".git", ".GIT", "..", "git~1"]) {
    const bytes = Buffer.concat([Buffer.from(`100644 ${name}\u0000`), blob(clone.clone)]);
    const tree = hash(clone.clone, "tree", bytes);
    const tip = git(clone.clone, "commit-tree", tree, "-p", clone.base, "-m", "x").trim();
    await refused(review(clone, answering(bundleAt(clone.clone, tip, clone.base))), "REVIEW_FAILED");
  }
  const tree = hash(clone.clone, "tree", Buffer.concat([Buffer.from("100644 a\u0000"), Buffer.alloc(20, 9)]));
  const tip = git(clone.clone, "commit-tree", tree, "-p", clone.base, "-m", "x").trim();
  const pack = execFileSync("git", ["-C", clone.clone, "pack-objects", "--stdout", "-q"], {
    env: GIT_ENV,
    input: `${tip}\n${tree}\n`,
  });
  const head = Buffer.from(`# v2 git bundle\n-${clone.base} x\n${tip} refs/doorward/review\n\n`);
  await refused(review(clone, answering(Buffer.concat([head, pack]))), "REVIEW_FAILED");
});

test("history that was rewritten is shown against the base and said so", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = await cloneOf(lab, policy, lab.repo("app"));
  lab.write(clone.clone, { y: "1\n" });
  git(clone.clone, "checkout", "-q", "--orphan", "fresh");
  git(clone.clone, "add", "-A");
  git(clone.clone, "commit", "-q", "-m", "fresh");
  const view = await review(clone);
  assert.match(view.warnings[0] ?? "", /not built on the commit/);
  assert.deepEqual(view.files, [{ path: "y", added: 1, removed: 0 }]);
});

test(
  "what is brought into somebody else's repo belongs to him",
  { skip: process.geteuid?.() === 0 ? false : "only root can act for others" },
  async () => {
    using lab = new PolicyLab();
    const policy = await lab.policy();
    const repo = lab.repo("app");
    for (const folder of [lab.home, lab.src]) chmodSync(folder, 0o755);
    execFileSync("chown", ["-R", "1234:1235", repo]);
    const clone = await cloneOf(lab, policy, repo);
    mkdirSync(join(clone.clone, "d"));
    lab.write(clone.clone, { "d/x": "1" });
    const { head } = await review(clone);
    await using held = await hold(policy, repo);
    await bringBranch({ ...clone, head }, held, "agent/work");
    const foreign = execFileSync("find", [repo, "!", "-uid", "1234"]).toString();
    assert.equal(foreign, "");
  },
);

test("escaping leaves plain text alone and spells out the rest", () => {
  assert.equal(escapeText("a\tb\né 漢 🎉"), "a\tb\né 漢 🎉");
  assert.equal(escapeText("\u001b[0m\r\u0000\u200b\u{e0041}"), "\\x1b[0m\\x0d\\x00\\u{200b}\\u{e0041}");
});

function bundleOf(clone: string, message: string): Buffer {
  git(clone, "-c", "core.fsmonitor=", "add", "-A");
  const tree = git(clone, "write-tree").trim();
  const tip = git(clone, "commit-tree", tree, "-p", "HEAD", "-m", message).trim();
  return bundleAt(clone, tip, "HEAD");
}

function bundleAt(clone: string, tip: string, base: string): Buffer {
  git(clone, "update-ref", "refs/doorward/review", tip);
  const args = ["-C", clone, "bundle", "create", "-q", "-", "refs/doorward/review", `^${base}`];
  return execFileSync("git", args, { env: GIT_ENV });
}

function hash(clone: string, type: string, bytes: Buffer): string {
  const args = ["-C", clone, "hash-object", "-t", type, "-w", "--literally", "--stdin"];
  return execFileSync("git", args, { env: GIT_ENV, input: bytes }).toString().trim();
}

function blob(clone: string): Buffer {
  return Buffer.from(hash(clone, "blob", Buffer.from("x")), "hex");
}
