import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";

describe("a policy that is changed while no bridge runs", () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab();
  });
  after(async () => await lab[Symbol.asyncDispose]());

  it("ends the machines that it does not allow any more, before they are used again", async () => {
    const denied = lab.repo("denied");
    await lab.up(denied);
    await lab.up(lab.repo("allowed"));
    await lab.stopBridge();
    const file = join(lab.home, "config", "policy.yaml");
    writeFileSync(file, `${readFileSync(file, "utf8")}deny: ["${denied}"]\n`);
    assert.equal((await lab.run(["ls"])).code, 0);
    await lab.until("machines are adopted", async () => {
      await using client = lab.client();
      return (await client.call("bridge.status", {})).ready;
    });
    const states = (await lab.machines()).map(({ name, state }) => `${name} ${state}`);
    assert.deepEqual(states.sort(), ["allowed running", "denied stopped"]);
    const [end] = await lab.records("machine-end");
    assert.match(end?.summary ?? "", /denied.*policy changed/);
    assert.equal((await lab.exec("allowed", ["true"])).code, 0);
  });
});
