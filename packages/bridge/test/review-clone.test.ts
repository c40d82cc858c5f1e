import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  bringBranch,
  bringPatch,
  hasUnreviewedChanges,
  removeReviewClone,
} from "../src/machines/review/index.ts";
import { PolicyLab, git, hold, refused } from "./policy-lab.ts";
import { cloneOf, review } from "./review-lab.ts";

test("a clone has the branches, tags and files of its repo, and nothing else of it", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { "a.txt": "one\n", "deep/b": "", ".gitignore": "ignored\n" });
  git(repo, "branch", "other");
  git(repo, "tag", "-a", "v1", "-m", "one");
  git(repo, "pack-refs", "--all");
  git(repo, "remote", "add", "origin", "https://example.invalid/x");
  git(repo, "config", "user.email", "ada@example.invalid");
  lab.write(repo, { ".git/hooks/post-checkout": "#!/bin/sh\nexit 1\n", ignored: "x", "a.txt": "changed\n" });
  const { clone, base } = await cloneOf(lab, policy, repo);
  assert.equal(git(clone, "rev-parse", "HEAD").trim(), base);
  assert.equal(git(clone, "branch", "--format=%(refname:short)"), "main\nother\n");
  assert.equal(git(clone, "tag"), "v1\n");
  assert.equal(git(clone, "status", "--porcelain"), "");
  assert.equal(git(clone, "remote"), "");
  assert.equal(readFileSync(join(clone, "a.txt"), "utf8"), "one\n", "uncommitted changes are left out");
  assert.equal(existsSync(join(clone, "ignored")), false);
  assert.equal(existsSync(join(clone, ".git", "hooks")), false);
  assert.equal(existsSync(join(clone, ".git", "objects", "info", "alternates")), false);
  assert.doesNotMatch(readFileSync(join(clone, ".git", "config"), "utf8"), /ada|remote/);
  assert.equal(git(clone, "fsck", "--strict"), "");
});

test("no file of a clone shares its inode with the repo or with what the bridge keeps", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const { clone } = await cloneOf(lab, policy, lab.repo("app"));
  for (const entry of readdirSync(clone, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) assert.equal(statSync(join(entry.parentPath, entry.name)).nlink, 1, entry.name);
  }
});

test(
  "a clone of somebody else's repo belongs to him",
  { skip: process.geteuid?.() === 0 ? false : "only root can act for others" },
  async () => {
    using lab = new PolicyLab();
    const policy = await lab.policy();
    const repo = lab.repo("app");
    execFileSync("chown", ["-R", "1234:1235", repo]);
    for (const folder of [lab.home, lab.src]) execFileSync("chmod", ["755", folder]);
    const { clone } = await cloneOf(lab, policy, repo);
    for (const path of [clone, join(clone, "a.txt"), join(clone, ".git", "HEAD")]) {
      assert.deepEqual([statSync(path).uid, statSync(path).gid], [1234, 1235]);
    }
  },
);

test("a detached HEAD, a linked worktree, a shallow and a sha256 repo can be cloned", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  git(repo, "commit", "-q", "--allow-empty", "-m", "two");
  git(repo, "worktree", "add", "-q", "-b", "feature", join(lab.src, "tree"), "HEAD^");
  const tree = await cloneOf(lab, policy, join(lab.src, "tree"), 1);
  assert.equal(git(tree.clone, "branch", "--show-current"), "feature\n");
  assert.equal(tree.base, git(repo, "rev-parse", "HEAD^").trim());
  git(repo, "checkout", "-q", "--detach");
  const detached = await cloneOf(lab, policy, repo, 2);
  assert.equal(git(detached.clone, "branch", "--show-current"), "");
  git(lab.src, "clone", "-q", "--depth", "1", `file://${repo}`, "shallow");
  const shallow = await cloneOf(lab, policy, join(lab.src, "shallow"), 3);
  assert.equal(git(shallow.clone, "log", "--format=%s"), "two\n");
  const other = lab.folder("long");
  git(other, "init", "-q", "--object-format=sha256");
  git(other, "commit", "-q", "--allow-empty", "-m", "one");
  assert.equal((await cloneOf(lab, policy, other, 4)).base.length, 64);
});

test("a submodule alone can be cloned, and a .git file that leads to somebody else's git folder can't", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const library = lab.repo("library");
  const repo = lab.repo("app");
  git(repo, "submodule", "--quiet", "add", `file://${library}`, "lib");
  const { base } = await cloneOf(lab, policy, join(repo, "lib"));
  assert.equal(base, git(library, "rev-parse", "HEAD").trim());
  const thief = lab.folder("thief");
  for (const target of [
    join(repo, ".git"),
    join(repo, ".git", "modules", "lib"),
    "../app/.git",
    "/nowhere",
  ]) {
    writeFileSync(join(thief, ".git"), `gitdir: ${target}\n`);
    await refused(cloneOf(lab, policy, thief, 1), "REPO_UNSUPPORTED");
  }
});

test("programs that a machine put into the repo's settings and hooks are not run by cloning", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { ".gitattributes": "* filter=evil\n", "a.txt": "" });
  const mark = join(lab.base, "ran");
  for (const key of [
    "core.fsmonitor",
    "core.sshCommand",
    "core.pager",
    "filter.evil.smudge",
    "filter.evil.clean",
    "uploadpack.packObjectsHook",
    "core.alternateRefsCommand",
    "credential.helper",
  ]) {
    git(repo, "config", key, `touch ${mark};`);
  }
  git(repo, "config", "core.hooksPath", "hooks");
  lab.write(repo, {
    "hooks/post-checkout": `#!/bin/sh\ntouch ${mark}\n`,
    "hooks/reference-transaction": `#!/bin/sh\ntouch ${mark}\n`,
  });
  execFileSync("chmod", ["-R", "755", join(repo, "hooks")]);
  await cloneOf(lab, policy, repo);
  assert.equal(existsSync(mark), false);
});

test("a folder without a repository, without a commit, or with swapped git folders is refused and leaves nothing", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  await refused(cloneOf(lab, policy, lab.folder("plain")), "REPO_UNSUPPORTED");
  const empty = lab.folder("empty");
  git(empty, "init", "-q");
  await refused(cloneOf(lab, policy, empty), "REPO_UNSUPPORTED");
  const [victim, thief] = [lab.repo("victim"), lab.repo("thief")];
  rmSync(join(thief, ".git", "objects"), { recursive: true });
  symlinkSync(join(victim, ".git", "objects"), join(thief, ".git", "objects"));
  await refused(cloneOf(lab, policy, thief), "REPO_UNSUPPORTED");
  const tables = lab.repo("tables");
  git(tables, "config", "extensions.refStorage", "reftable");
  await refused(cloneOf(lab, policy, tables), "REPO_UNSUPPORTED");
  assert.deepEqual(readdirSync(join(lab.stateDir, "review", "m_test")), []);
});

test("a folder that exists is not cloned into", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  mkdirSync(join(lab.stateDir, "review", "m_test", "0"), { recursive: true });
  await assert.rejects(cloneOf(lab, policy, lab.repo("app")), { code: "EEXIST" });
});

test("changes count as unreviewed until just they are brought back; products of builds do not count", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  const review1 = await cloneOf(lab, policy, repo);
  const { clone } = review1;
  assert.equal(await hasUnreviewedChanges(clone), false);
  lab.write(clone, { "node_modules/x/index.js": "", "target/debug/x": "" });
  assert.equal(await hasUnreviewedChanges(clone), false);
  writeFileSync(join(clone, ".gitignore"), "node_modules\ntarget\n");
  assert.equal(await hasUnreviewedChanges(clone), true);
  const first = await review(review1);
  assert.equal(await hasUnreviewedChanges(clone), true, "looking is not bringing");
  writeFileSync(join(clone, "later"), "x");
  await bringPatch({ ...review1, head: first.head }, join(lab.base, "1.patch"));
  assert.equal(await hasUnreviewedChanges(clone), true, "what came after the look was not brought");
  const second = await review(review1);
  await using held = await hold(policy, repo);
  await bringBranch({ ...review1, head: second.head }, held, "work");
  assert.equal(await hasUnreviewedChanges(clone), false);
  git(clone, "commit", "-q", "--allow-empty", "-m", "more");
  assert.equal(await hasUnreviewedChanges(clone), true);
  await removeReviewClone(clone);
  assert.equal(await hasUnreviewedChanges(clone), false);
  assert.deepEqual(readdirSync(join(lab.stateDir, "review", "m_test")), []);
});
