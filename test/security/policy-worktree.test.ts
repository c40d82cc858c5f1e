import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { needsRoot, openLab, REPO_OWNER, type Lab } from "../support/lab.ts";

describe("a linked worktree, whose machine has the common git folder too", { skip: needsRoot }, () => {
  let lab: Lab;

  before(async () => {
    lab = await openLab();
  });
  after(async () => await lab[Symbol.asyncDispose]());

  it("is stopped when the policy denies that folder, and left alone when it denies another", async () => {
    const main = lab.repo("main");
    const worktree = join(lab.sources, "tree");
    const owner = `${String(REPO_OWNER)}:${String(REPO_OWNER)}`;
    const git = ["-c", `safe.directory=${main}`, "-C", main, "worktree", "add", "--quiet", worktree];
    execFileSync("git", git, { env: { ...lab.env } });
    execFileSync("chown", ["-R", owner, worktree, main]);
    await lab.up(worktree);
    const { state } = await lab.machine("tree");
    assert.equal(state, "running");
    await denied(lab.repo("other"));
    assert.equal((await lab.machine("tree")).state, "running");
    await denied(join(main, ".git"));
    await lab.until("it is stopped", async () => (await lab.machine("tree")).state === "stopped");
    const [end] = await lab.records("machine-end");
    assert.match(end?.summary ?? "", /policy changed/);
    assert.notEqual((await lab.run(["start", "tree"])).code, 0);
  });

  /** Adds a denied path to the policy file, which is in force within a second. */
  async function denied(path: string): Promise<void> {
    const changes = (await lab.records("policy-change")).length;
    const file = join(lab.home, "config", "policy.yaml");
    const text = readFileSync(file, "utf8");
    if (text.includes("\ndeny:")) writeFileSync(file, text.replace(/\ndeny: .*/, `\ndeny: ["${path}"]`));
    else appendFileSync(file, `deny: ["${path}"]\n`);
    await lab.until(
      "the policy is in force",
      async () => (await lab.records("policy-change")).length > changes,
    );
  }
});
