import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { newProtectedNames, releasePins } from "../src/machines/mounts/index.ts";
import { PolicyLab, git, hold, plan, refused, releaseAll, shapes } from "./policy-lab.ts";

afterEach(releaseAll);

test("a writable repo has its git settings and trusted names read-only, each below mount points", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { ".vscode/tasks.json": "{}", ".claude/settings.json": "{}", "src/a.ts": "" });
  await using planned = await plan(lab, policy, [repo]);
  assert.deepEqual(shapes(planned.mounts).sort(), [
    "mount-point rw /workspace/app/.claude",
    "mount-point rw /workspace/app/.git",
    "protected ro /workspace/app/.claude/settings.json",
    "protected ro /workspace/app/.git/commondir",
    "protected ro /workspace/app/.git/config",
    "protected ro /workspace/app/.git/hooks",
    "protected ro /workspace/app/.vscode",
    "repo rw /workspace/app",
  ]);
  const order = planned.mounts.map(({ target }) => target.split("/").length);
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
    "parents come first",
  );
  assert.deepEqual(planned.repos, [{ hostPath: repo, machinePath: "/workspace/app", access: "rw" }]);
  assert.equal(
    git(repo, "status", "--porcelain"),
    "",
    "what is created to be protected is not seen in the work tree",
  );
});

test("a read-only repo is one mount", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  await using planned = await plan(lab, policy, [lab.repo("app", { ".envrc": "" })], { access: "ro" });
  assert.deepEqual(shapes(planned.mounts), ["repo ro /workspace/app"]);
});

test("missing hooks are created and commondir is pinned; git behaves as before, and the pin is taken back", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  rmSync(join(repo, ".git", "hooks"), { recursive: true, force: true });
  await using planned = await plan(lab, policy, [repo]);
  assert.equal(existsSync(join(repo, ".git", "hooks")), true);
  assert.equal(readFileSync(join(repo, ".git", "commondir"), "utf8"), ".\n");
  git(repo, "commit", "-q", "--allow-empty", "-m", "two");
  git(repo, "worktree", "add", "-q", join(lab.src, "tree"));
  assert.match(git(repo, "worktree", "list"), /tree/);
  git(repo, "worktree", "remove", join(lab.src, "tree"));
  git(repo, "gc", "-q");
  assert.equal(git(repo, "fsck"), "");
  for (const record of planned.protections) await releasePins(record);
  assert.equal(existsSync(join(repo, ".git", "commondir")), false);
  assert.match(git(repo, "log", "--oneline"), /two/);
});

test("a commondir that leads elsewhere is refused: the host's git would take its settings from there", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  writeFileSync(join(repo, ".git", "commondir"), "../evil\n");
  const error = await refused(plan(lab, policy, [repo]), "REPO_UNSUPPORTED");
  assert.match(error.hint ?? "", /--review/);
});

test("a missing config.worktree is pinned where git would read it: a machine could name programs in it", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  git(repo, "config", "extensions.worktreeConfig", "true");
  git(repo, "worktree", "add", "-q", join(lab.src, "tree"));
  await using planned = await plan(lab, policy, [repo]);
  for (const path of [".git/config.worktree", ".git/worktrees/tree/config.worktree"]) {
    assert.ok(shapes(planned.mounts).includes(`protected ro /workspace/app/${path}`), path);
    assert.equal(readFileSync(join(repo, path), "utf8"), "");
  }
  assert.equal(git(repo, "status", "--porcelain"), "");
});

test("nested repositories and submodules are protected like the repo itself", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const library = lab.repo("library");
  const repo = lab.repo("app");
  git(repo, "submodule", "--quiet", "add", `file://${library}`, "libs/one");
  lab.repo("app/nested/inner", { ".envrc": "" });
  await using planned = await plan(lab, policy, [repo]);
  const found = shapes(planned.mounts);
  for (const target of [
    ".git/modules/libs/one/hooks",
    ".git/modules/libs/one/config",
    ".git/modules/libs/one/commondir",
    "libs/one/.git",
    "nested/inner/.git/hooks",
    "nested/inner/.git/config",
    "nested/inner/.envrc",
  ]) {
    assert.ok(found.includes(`protected ro /workspace/app/${target}`), target);
  }
  for (const target of [
    ".git/modules",
    ".git/modules/libs/one",
    "libs",
    "libs/one",
    "nested",
    "nested/inner/.git",
  ]) {
    assert.ok(found.includes(`mount-point rw /workspace/app/${target}`), target);
  }
  assert.match(git(repo, "submodule", "status"), /libs\/one/, "git works with the pins of submodules");
});

test("a half-made .git folder is read-only as a whole", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  mkdirSync(join(repo, "sub", ".git"), { recursive: true });
  await using planned = await plan(lab, policy, [repo]);
  assert.ok(shapes(planned.mounts).includes("protected ro /workspace/app/sub/.git"));
});

test("hook folders, includes and programs that the repo's settings name are read-only too", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", {
    "tools/hooks/pre-commit": "",
    "git.inc": "",
    "bin/clean.sh": "",
    "bin/free.sh": "",
  });
  git(repo, "config", "core.hooksPath", "tools/hooks");
  git(repo, "config", "include.path", "../git.inc");
  git(repo, "config", "filter.x.clean", "sh ./bin/clean.sh %f");
  await using planned = await plan(lab, policy, [repo]);
  const found = shapes(planned.mounts);
  for (const path of ["tools/hooks", "git.inc", "bin/clean.sh"]) {
    assert.ok(found.includes(`protected ro /workspace/app/${path}`), path);
  }
  assert.ok(!found.some((shape) => shape.includes("free.sh")));
});

test("names of the policy are protected beside the built-in ones", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy(
    "version: 1\nroots: [{path: ~/src, access: rw}]\nprotect: [Makefile, scripts/deploy]\n",
  );
  const repo = lab.repo("app", { Makefile: "", "scripts/deploy/x": "", "scripts/other": "" });
  await using planned = await plan(lab, policy, [repo]);
  const found = shapes(planned.mounts);
  assert.ok(found.includes("protected ro /workspace/app/Makefile"));
  assert.ok(found.includes("protected ro /workspace/app/scripts/deploy"));
});

for (const [what, name, target] of [
  ["hooks", ".git/hooks", "../../hooks"],
  ["settings of git", ".git/config", "../config-elsewhere"],
  ["an editor's folder", ".vscode", "settings"],
  [".git itself", ".git", "../git-elsewhere"],
] as const) {
  test(`a symlink in place of ${what} is refused: a link can't be bound, and could be replaced`, async () => {
    using lab = new PolicyLab();
    const policy = await lab.policy();
    const repo = lab.repo("app", { "settings/x": "" });
    const path = join(repo, name);
    if (existsSync(path))
      renameSync(path, name === ".git" ? join(lab.src, "git-elsewhere") : `${path}-elsewhere`);
    symlinkSync(target, path);
    const error = await refused(plan(lab, policy, [repo]), "REPO_UNSUPPORTED");
    assert.match(error.hint ?? "", /--review/);
  });
}

test("a symlink on the way to a protected name is refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { "elsewhere/settings.json": "" });
  symlinkSync("elsewhere", join(repo, ".claude"));
  await refused(plan(lab, policy, [repo]), "REPO_UNSUPPORTED");
});

test("the inside of a .git folder, and overlapping or repeated repos, are refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { "sub/a": "" });
  await refused(plan(lab, policy, [join(repo, ".git")]), "REPO_UNSUPPORTED");
  await refused(plan(lab, policy, [repo, repo]), "REPO_UNSUPPORTED");
  await refused(plan(lab, policy, [join(repo, "sub"), repo]), "REPO_UNSUPPORTED");
});

test("programs that settings around a folder name are read-only in it, and a folder of them is refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { "tools/hooks/pre-commit": "#!/bin/sh\n", "src/a.ts": "" });
  git(repo, "config", "core.hooksPath", "tools/hooks");
  const tree = join(lab.src, "tree");
  git(repo, "worktree", "add", "-q", tree);
  await using part = await plan(lab, policy, [join(repo, "tools")]);
  assert.ok(shapes(part.mounts).includes("protected ro /workspace/tools/hooks"));
  await using worktree = await plan(lab, policy, [tree]);
  assert.ok(shapes(worktree.mounts).includes("protected ro /workspace/tree/tools/hooks"));
  await using other = await plan(lab, policy, [join(repo, "src")]);
  assert.deepEqual(shapes(other.mounts), ["repo rw /workspace/src"]);
  await refused(plan(lab, policy, [join(repo, "tools", "hooks")]), "REPO_UNSUPPORTED");
});

test("a bare repository given as a repo has its hooks and settings read-only", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const bare = lab.folder("bare.git");
  git(bare, "init", "-q", "--bare");
  await using planned = await plan(lab, policy, [bare]);
  const found = shapes(planned.mounts);
  for (const name of ["hooks", "config", "commondir"])
    assert.ok(found.includes(`protected ro /workspace/bare.git/${name}`));
});

test("repos of the same name get a number, and names are made plain", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repos = [lab.folder("one/app"), lab.folder("two/app"), lab.folder("-x y é"), lab.folder("...")];
  await using planned = await plan(lab, policy, repos);
  assert.deepEqual(
    planned.repos.map(({ machinePath }) => machinePath),
    ["/workspace/app", "/workspace/app-2", "/workspace/x-y-", "/workspace/repo"],
  );
});

test("hidden names are masked, are not listed, and nothing under them is protected", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", {
    ".env": "A=1",
    "keys/a.pem": "",
    "keys/.envrc": "",
    "b.pem": "",
    "c.key": "",
  });
  await using planned = await plan(lab, policy, [repo], { hide: [".env", "/keys"] });
  const hidden = planned.mounts.filter(({ role }) => role === "hidden");
  assert.deepEqual(hidden.map(({ target }) => target).sort(), ["/workspace/app/.env", "/workspace/app/keys"]);
  assert.ok(hidden.every(({ access, source }) => access === "ro" && source.startsWith(lab.stateDir)));
  assert.deepEqual([...planned.listed].sort(), ["/workspace/app/b.pem", "/workspace/app/c.key"]);
  await refused(plan(lab, policy, [repo], { hide: ["**"] }), "INPUT_INVALID");
});

test("sockets of the host are masked, and an engine's socket is refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  const listen = async (name: string): Promise<ReturnType<typeof createServer>> => {
    const server = createServer().listen(join(repo, name));
    await new Promise((resolve) => server.once("listening", resolve));
    return server;
  };
  const first = await listen("ipc");
  {
    await using planned = await plan(lab, policy, [repo], { access: "ro" });
    assert.ok(shapes(planned.mounts).includes("hidden ro /workspace/app/ipc"));
  }
  const second = await listen("docker.sock");
  await refused(plan(lab, policy, [repo], { access: "ro" }), "PATH_DENIED");
  first.close();
  second.close();
});

test("a file with a hard link outside is refused by name, read-only mounts and clones excepted", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { "deep/er/b": "" });
  linkSync(join(repo, "deep/er/b"), join(lab.home, "outside"));
  const error = await refused(plan(lab, policy, [repo]), "HARDLINK_OUTSIDE");
  assert.match(error.message, /"deep\/er\/b" has a hard link outside the repo/);
  assert.equal(error.hint, `doorward up --review ${repo}`);
  assert.equal(existsSync(join(repo, ".git", "commondir")), false, "a refusal creates nothing");
  await using readOnly = await plan(lab, policy, [repo], { access: "ro" });
  assert.equal(readOnly.mounts.length, 1);
});

test("the objects of a local clone are hard links outside", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const origin = lab.repo("origin");
  git(lab.src, "clone", "-q", "--no-checkout", origin, "copy");
  await refused(plan(lab, policy, [join(lab.src, "copy")]), "HARDLINK_OUTSIDE");
});

test("hard links within one machine's repos are fine, unless one of the names is protected", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const [one, two] = [lab.repo("one"), lab.repo("two")];
  linkSync(join(one, "a.txt"), join(one, "b.txt"));
  linkSync(join(one, "a.txt"), join(two, "c.txt"));
  await using both = await plan(lab, policy, [one, two]);
  assert.equal(both.repos.length, 2);
  await refused(plan(lab, policy, [one]), "HARDLINK_OUTSIDE");
  linkSync(join(two, ".git", "config"), join(two, "innocent"));
  const error = await refused(plan(lab, policy, [one, two]), "HARDLINK_OUTSIDE");
  assert.match(error.message, /"innocent" is a hard link of ".git\/config", which is protected/);
});

test("names that are not UTF-8 are looked at like all others", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app");
  const folder = Buffer.concat([Buffer.from(`${repo}/`), Buffer.from([0xff])]);
  mkdirSync(folder);
  const file = Buffer.concat([folder, Buffer.from("/x")]);
  writeFileSync(file, "");
  linkSync(file, join(lab.home, "twin"));
  await refused(plan(lab, policy, [repo]), "HARDLINK_OUTSIDE");
});

test(
  "a folder that can't be read is refused, not skipped",
  { skip: process.geteuid?.() === 0 ? "root reads every folder" : false },
  async () => {
    using lab = new PolicyLab();
    const policy = await lab.policy();
    const repo = lab.repo("app", { "closed/x": "" });
    chmodSync(join(repo, "closed"), 0);
    await refused(plan(lab, policy, [repo]), "REPO_UNSUPPORTED");
    chmodSync(join(repo, "closed"), 0o700);
  },
);

test("a protected name that is swapped after planning is found", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { ".vscode/x": "" });
  await using planned = await plan(lab, policy, [repo]);
  planned.verify();
  renameSync(join(repo, ".vscode"), join(repo, "old"));
  symlinkSync("/etc", join(repo, ".vscode"));
  assert.throws(() => planned.verify(), { code: "PATH_CHANGED" });
  rmSync(join(repo, ".vscode"));
  mkdirSync(join(repo, ".vscode"));
  assert.throws(
    () => planned.verify(),
    { code: "PATH_CHANGED" },
    "another folder of the same name is not the same",
  );
});

test("names that appeared since the launch are reported", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const repo = lab.repo("app", { ".vscode/x": "" });
  await using planned = await plan(lab, policy, [repo]);
  const [record] = planned.protections;
  assert.ok(record !== undefined);
  const report = (): Promise<string[]> => newProtectedNames(record, [], policy.profile("default"));
  assert.deepEqual(await report(), []);
  lab.write(repo, { ".idea/x": "", ".envrc": "", "src/ok": "" });
  lab.repo("app/hidden/inner");
  const found = await report();
  for (const name of [".idea", ".envrc", "hidden/inner/.git"])
    assert.ok(found.includes(name), `${name}: ${found.join()}`);
  assert.ok(!found.includes("src/ok"));
});

test("a clone of a review machine is one mount under the real repo's name", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const clone = lab.repo("clone", { ".vscode/x": "" });
  const held = await hold(policy, clone);
  await using planned = await plan(lab, policy, [{ held, hostPath: "/home/ada/app", clone: true }]);
  assert.deepEqual(shapes(planned.mounts), ["repo rw /workspace/app"]);
  assert.deepEqual(planned.repos, [
    { hostPath: "/home/ada/app", machinePath: "/workspace/app", access: "rw" },
  ]);
});
