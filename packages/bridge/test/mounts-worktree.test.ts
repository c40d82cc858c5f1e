import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { PolicyLab, git, plan, refused, releaseAll, shapes } from "./policy-lab.ts";

afterEach(releaseAll);

function worktree(lab: PolicyLab): { main: string; tree: string } {
  const main = lab.repo("main");
  const tree = join(lab.src, "feature");
  git(main, "worktree", "add", "-q", tree);
  return { main, tree };
}

test("a linked worktree brings its common git folder under the same protections", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const { main, tree } = worktree(lab);
  await using planned = await plan(lab, policy, [tree]);
  const found = shapes(planned.mounts);
  for (const shape of [
    "repo rw /workspace/feature",
    "protected ro /workspace/feature/.git",
    "repo rw /workspace/.git-feature",
    "protected ro /workspace/.git-feature/hooks",
    "protected ro /workspace/.git-feature/config",
    "protected ro /workspace/.git-feature/commondir",
    "protected ro /workspace/.git-feature/worktrees/feature/commondir",
    "protected ro /workspace/.git-feature/worktrees/feature/gitdir",
  ]) {
    assert.ok(found.includes(shape), `${shape} in ${found.join("\n")}`);
  }
  const pointer = planned.mounts.find(({ target }) => target === "/workspace/feature/.git");
  assert.equal(
    readFileSync(pointer?.source ?? "", "utf8"),
    "gitdir: /workspace/.git-feature/worktrees/feature\n",
  );
  assert.equal(planned.repos.length, 1, "the git folder is no repo of its own");
  assert.equal(git(main, "fsck"), "");
});

test("a worktree given with its main repo uses that one's git folder", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const { main, tree } = worktree(lab);
  await using planned = await plan(lab, policy, [main, tree]);
  const pointer = planned.mounts.find(({ target }) => target === "/workspace/feature/.git");
  assert.equal(
    readFileSync(pointer?.source ?? "", "utf8"),
    "gitdir: /workspace/main/.git/worktrees/feature\n",
  );
  assert.ok(!shapes(planned.mounts).some((shape) => shape.includes("/.git-")));
  const error = await refused(plan(lab, policy, [tree, main]), "REPO_UNSUPPORTED");
  assert.equal(error.hint, `doorward up ${main} ${tree}`);
});

test("a worktree whose common git folder may not be given is refused with --review", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy("version: 1\nroots: [{path: ~/src/feature, access: rw}]\n");
  const { tree } = worktree(lab);
  const error = await refused(plan(lab, policy, [tree]), "REPO_UNSUPPORTED");
  assert.match(error.hint ?? "", /--review/);
});

test("a .git file that somebody wrote to be given another repo is refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const { main } = worktree(lab);
  const fake = lab.folder("fake");
  for (const target of [
    `${main}/.git/worktrees/feature`,
    `${main}/.git`,
    "../main/.git",
    "/etc",
    "nowhere",
  ]) {
    writeFileSync(join(fake, ".git"), `gitdir: ${target}\n`);
    await refused(plan(lab, policy, [fake]), "REPO_UNSUPPORTED");
  }
  writeFileSync(join(fake, ".git"), "x".repeat(10_000));
  await refused(plan(lab, policy, [fake]), "REPO_UNSUPPORTED");
});

test("a submodule alone is refused, and read-only it is mounted with a notice", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const library = lab.repo("library");
  const repo = lab.repo("app");
  git(repo, "submodule", "--quiet", "add", library, "lib");
  await refused(plan(lab, policy, [join(repo, "lib")]), "REPO_UNSUPPORTED");
  await using planned = await plan(lab, policy, [join(repo, "lib")], { access: "ro" });
  assert.match(planned.notices.join(), /git does not work/);
});
