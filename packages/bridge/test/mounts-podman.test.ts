import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { gitConfigMount, lostProtections, machineGitConfig } from "../src/machines/mounts/index.ts";
import { never, openLab, skipped, type Lab } from "./podman-lab.ts";
import { git, plan, PolicyLab, releaseAll } from "./policy-lab.ts";

describe("planned mounts in a real machine", { skip: skipped, concurrency: false, timeout: 600_000 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab();
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
  });
  afterEach(releaseAll);

  test("protected names hold against every attempt, masked ones are empty, and work goes on", async () => {
    using files = new PolicyLab();
    const policy = await files.policy();
    const library = files.repo("library");
    const repo = files.repo("app", {
      ".vscode/tasks.json": "{}",
      ".env": "SECRET=1",
      "keys/id_rsa": "KEY",
      "src/a": "one\n",
    });
    git(repo, "submodule", "--quiet", "add", `file://${library}`, "libs/one");
    git(repo, "commit", "-qam", "lib");
    const socket = createServer().listen(join(repo, "ipc"));
    await new Promise((resolve) => socket.once("listening", resolve));
    execFileSync("chown", ["-R", "4321:4321", repo]);
    await using planned = await plan(files, policy, [repo], { hide: [".env", "keys"] });
    const settings = machineGitConfig({ name: "Ada", email: "ada@example.invalid" });
    const gitConfig = await gitConfigMount(join(files.stateDir, "masks"), settings);
    const attacks = [
      "echo x > .git/hooks/pre-commit",
      "echo x > .git/config",
      "echo x > .git/commondir",
      "rm -f .git/config",
      "rm -rf .git/hooks",
      "mv .git .git2",
      "mv .git/hooks .git/h2",
      "mv .git/modules .git/m2",
      "mv .git/modules/libs .git/modules/l2",
      "echo x > .git/modules/libs/one/config",
      "echo x > .git/modules/libs/one/hooks/post-checkout",
      "mv libs libs2",
      "echo gitdir: /tmp > libs/one/.git",
      "echo x > .vscode/tasks.json",
      "mv .vscode v",
      "ln -sf /etc .vscode",
      "ln .git/config twin",
      "rmdir .vscode",
      "umount .vscode",
      "mount -o remount,bind,rw .git/config",
      "grep . .env",
      "ls keys | grep .",
      "test -S ipc",
      "mv .env e",
      "chmod 4755 src/a",
    ];
    const script = [
      "cd /workspace/app",
      ...attacks.map(
        (attack, at) => `if ( ${attack} ) >/dev/null 2>&1; then echo "BROKEN ${at} $(date)"; fi`,
      ),
      "if ( echo x > src/control ) 2>/dev/null; then echo BROKEN control; rm src/control; fi",
      "set -e",
      "echo two >> src/a; mkdir new; echo n > new/file; mv new renamed",
      "git switch -qc work; git add src renamed; git commit -qm work; git stash list; git log -1 --format='%an %s'",
      "git -C libs/one status --porcelain; echo DONE",
    ].join("\n");
    const spec = lab.spec("attacks", ["sh", "-c", script], { mounts: [...planned.mounts, gitConfig] });
    const machine = await lab.engine.launch(spec, never);
    await lab.ended(machine.containerId);
    const output = await lab.engine.logs(machine.containerId, 200);
    await lab.engine.remove(machine.containerId, 0);
    socket.close();
    planned.verify();
    assert.ok(output.includes("BROKEN control"), "what succeeds is seen");
    for (const [at, attack] of attacks.entries())
      assert.ok(!output.includes(`BROKEN ${at} `), `${attack}\n${output}`);
    assert.match(output, /Ada work/);
    assert.match(output, /DONE/);
    assert.equal(statSync(join(repo, "src/a")).uid, 4321);
    assert.equal(statSync(join(repo, "renamed/file")).uid, 4321);
    assert.equal(git(repo, "log", "-1", "--format=%an %s", "work").trim(), "Ada work");
    assert.equal(readFileSync(join(repo, ".env"), "utf8"), "SECRET=1");
    assert.equal(existsSync(join(repo, ".git2")), false);
  });

  test("git works in a linked worktree, and the protection that the host's git took away is missed", async () => {
    using files = new PolicyLab();
    const policy = await files.policy();
    const main = files.repo("main");
    const tree = join(files.src, "feature");
    git(main, "worktree", "add", "-q", tree);
    execFileSync("chown", ["-R", "4321:4321", main, tree]);
    await using planned = await plan(files, policy, [tree]);
    const masks = join(files.stateDir, "masks");
    const gitConfig = await gitConfigMount(
      masks,
      machineGitConfig({ name: "Ada", email: "a@example.invalid" }),
    );
    const script =
      "cd /workspace/feature && echo x > x && git add x && git commit -qm tree && echo DONE; sleep 1000";
    const spec = lab.spec("worktree", ["sh", "-c", script], { mounts: [...planned.mounts, gitConfig] });
    const machine = await lab.engine.launch(spec, never);
    for (let round = 0; round < 2400; round += 1) {
      if ((await lab.engine.logs(machine.containerId, 20)).includes("DONE")) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(git(main, "log", "-1", "--format=%s", "feature").trim(), "tree");
    assert.deepEqual(await lostProtections(machine.pid, planned.mounts), []);
    git(main, "config", "user.name", "Host");
    const lost = await lostProtections(machine.pid, planned.mounts);
    assert.deepEqual(
      lost.map(({ target }) => target),
      ["/workspace/.git-feature/config"],
    );
    await lab.engine.remove(machine.containerId, 0);
  });
});
