import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";

describe("a policy that lets one machine run", () => {
  let lab: Lab;
  let repos: readonly string[];

  before(async () => {
    lab = await openLab({ policy: "limits: { machines: 1 }\n" });
    repos = [lab.repo("one"), lab.repo("two")];
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const running = async (): Promise<number> =>
    (await lab.machines()).filter(({ state }) => state === "running").length;

  it(
    "lets one of those that are started again run, however they are asked for",
    { timeout: 600_000 },
    async () => {
      for (const [at, repo] of repos.entries()) {
        await lab.up(repo, "--name", `m${String(at)}`);
        const second = await lab.run(["up", repo, "--new", "--name", "second"]);
        assert.match(second.stderr, /1 of 1 run/);
        assert.equal((await lab.run(["stop", `m${String(at)}`])).code, 0);
      }
      await using client = lab.client();
      const start = (machine: string) => client.call("machines.start", { params: { machine }, body: {} });
      const answers = await Promise.allSettled(["m0", "m1"].map(start));
      const refused = answers.flatMap((answer) =>
        answer.status === "rejected" ? [answer.reason as { code: string }] : [],
      );
      assert.deepEqual(
        refused.map(({ code }) => code),
        ["MACHINE_LIMIT"],
      );
      assert.equal(await running(), 1);
      for (const repo of repos) await lab.run(["up", repo]);
      assert.equal(await running(), 1);
      const stopped = (await lab.machines()).find(({ state }) => state !== "running");
      assert.ok(stopped !== undefined);
      assert.equal(stopped.state, "stopped");
      await lab.run(["stop", stopped.name === "m0" ? "m1" : "m0"]);
      assert.equal((await lab.run(["start", stopped.name])).code, 0, "the one that was refused starts now");
    },
  );
});
