import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gitConfigMount, machineGitConfig, operatorGitIdentity } from "../src/machines/mounts/index.ts";
import { Masks } from "../src/machines/mounts/masks.ts";
import { GIT_ENV, PolicyLab, git, refused } from "./policy-lab.ts";

test("the operator's name and email are read from his own settings, without includes", async () => {
  using lab = new PolicyLab();
  assert.deepEqual(await operatorGitIdentity(lab.home), { name: null, email: null });
  lab.write(lab.home, {
    ".gitconfig": '[include]\n\tpath = more\n[user]\n\tname = Ada \\"L\\" é\n',
    more: "[user]\n\temail = hidden@example.invalid\n",
    ".config/git/config": "[user]\n\temail = ada@example.invalid\n\tname = Other\n",
  });
  assert.deepEqual(await operatorGitIdentity(lab.home), { name: 'Ada "L" é', email: "ada@example.invalid" });
  writeFileSync(join(lab.home, ".gitconfig"), "[broken");
  assert.equal((await operatorGitIdentity(lab.home)).name, "Other");
});

test("a machine's settings hold whatever the name is, and give way to a repo's own", () => {
  using lab = new PolicyLab();
  const file = join(lab.base, "gitconfig");
  const evil = 'A"\n[core]\n\tfsmonitor = evil\\';
  writeFileSync(file, machineGitConfig({ name: evil, email: "ada@example.invalid" }));
  const repo = lab.repo("app");
  const env = { ...GIT_ENV, GIT_CONFIG_NOSYSTEM: "0", GIT_CONFIG_SYSTEM: file };
  const read = (key: string): string =>
    execFileSync("git", ["-C", repo, "config", "--default", "", "--get", key], { env }).toString();
  assert.equal(read("core.fsmonitor").trim(), "");
  assert.equal(read("user.name").trim(), 'A" [core]  fsmonitor = evil\\');
  assert.equal(read("safe.directory").trim(), "*");
  assert.equal(read("branch.autoSetupMerge").trim(), "false");
  git(repo, "config", "user.name", "Repo");
  assert.equal(read("user.name").trim(), "Repo");
});

test("launches at the same moment share one file, which is never replaced", async () => {
  using lab = new PolicyLab();
  const folder = join(lab.stateDir, "masks");
  const content = machineGitConfig({ name: "Ada", email: null });
  const mounts = await Promise.all(Array.from({ length: 20 }, () => gitConfigMount(folder, content)));
  const [first] = mounts;
  assert.ok(first !== undefined);
  assert.ok(mounts.every(({ identity }) => identity.ino === first.identity.ino));
  assert.equal(readFileSync(first.source, "utf8"), content);
  assert.equal(first.target, "/etc/gitconfig");
});

test("a mask that is not empty is refused, not used", async () => {
  using lab = new PolicyLab();
  const folder = join(lab.stateDir, "masks");
  await Masks.open(folder);
  lab.write(join(folder, "empty-folder"), { secret: "x" });
  await refused(Masks.open(folder), "STATE_INVALID");
});
