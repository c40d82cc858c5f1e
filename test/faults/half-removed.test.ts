import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";

describe("a removal that ends half way", { skip: needsRoot }, () => {
  let lab: Lab;
  let repo: string;
  let stuck: string;
  let id: string;

  before(async () => {
    lab = await openLab();
    repo = lab.repo("shop");
    await lab.up(repo);
    await lab.up(lab.repo("other"));
    id = (await lab.machine("shop")).id;
    // Nobody can delete where something is mounted: as far as a removal comes that is killed there.
    stuck = join(lab.home, "state", "homes", id, "stuck");
    mkdirSync(stuck);
    execFileSync("mount", ["-t", "tmpfs", "none", stuck]);
    assert.equal((await lab.sh("shop", "touch ~/kept ~/.profile")).code, 0);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const names = async (): Promise<string[]> => (await lab.machines()).map(({ name }) => name);

  it("is said, and the machine is neither started again nor found for its repo", async () => {
    const removed = await lab.run(["rm", "--force", "shop"]);
    assert.equal(removed.code, 5);
    assert.match(removed.stderr, /Cannot delete all of "shop": EBUSY at ".*stuck"/);
    assert.deepEqual(await names(), ["shop", "other"]);
    const started = await lab.run(["start", "shop"]);
    assert.equal(started.code, 4);
    assert.match(started.stderr, /it was removed[^]*doorward.* rm --force shop/);
    const name = await lab.up(repo);
    assert.notEqual(name, "shop");
    assert.equal((await lab.run(["rm", name])).code, 0);
  });

  it("keeps no bridge that starts from serving the other machines", async () => {
    assert.equal((await lab.run(["bridge", "restart"])).code, 0);
    await lab.until("it has tried", async () => (await names()).length === 2);
    assert.equal((await lab.sh("other", "echo up")).stdout, "up\n");
  });

  it("is finished by the next bridge that can, with all that the machine had", async () => {
    await lab.stopBridge();
    execFileSync("umount", [stuck]);
    await lab.run(["ls"]);
    await lab.until("it is gone", async () => (await names()).join() === "other");
    assert.ok(!existsSync(join(lab.home, "state", "homes", id)));
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});
