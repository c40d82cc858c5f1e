import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openLab, type Lab } from "../support/lab.ts";
import { descriptors, mountsBelow, procFile, processesOf, residentMiB } from "../support/leftovers.ts";

/** Machines at once: DOORWARD_TEST_MACHINES; 20 on a host of one's own. */
const COUNT = Number(process.env["DOORWARD_TEST_MACHINES"] ?? 6);

describe(`${String(COUNT)} machines at once`, () => {
  let lab: Lab;
  let repo: string;

  before(async () => {
    lab = await openLab();
    repo = lab.repo("shop");
    // The first machine makes the guest's folder and warms everything that stays.
    await lab.up(repo, "--name", "first");
    await lab.sh("first", "true");
    await lab.run(["rm", "first"]);
    await standsStill();
  });
  /** Waits until nothing has begun or ended for six seconds: what the first machine left is gone. */
  async function standsStill(): Promise<void> {
    const bridge = await lab.bridgePid();
    const seen = (): string =>
      [...processesOf(lab.root).map(({ pid }) => pid), ...descriptors(bridge).sort()].join();
    let [last, since] = ["", 0];
    while (performance.now() - since < 6000) {
      if (seen() !== last) [last, since] = [seen(), performance.now()];
      await delay(100);
    }
  }
  after(async () => await lab[Symbol.asyncDispose]());

  it("all launch, all answer, and after rm nothing of them is left", { timeout: 600_000 }, async (t) => {
    const bridge = await lab.bridgePid();
    const standing = (): string[] =>
      processesOf(lab.root)
        .map(({ command }) => command.split(" ")[0] ?? "")
        .sort();
    const before = {
      processes: standing(),
      files: descriptors(bridge).sort(),
      mounts: mountsBelow(lab.root).sort(),
    };
    const began = performance.now();
    await using client = lab.client();
    const launched = await Promise.all(
      Array.from({ length: COUNT }, async (_, at) => {
        const body = { repos: [{ path: repo }], fresh: true, name: `m-${at}` };
        const { machine } = await client.call("machines.up", { body });
        return machine;
      }),
    );
    t.diagnostic(`${COUNT} launched at once in ${Math.round(performance.now() - began)} ms`);
    assert.equal(new Set(launched.map(({ id }) => id)).size, COUNT);
    const asked = performance.now();
    const answers = await Promise.all(launched.map(({ id, name }) => lab.sh(id, `echo ${name} $(hostname)`)));
    t.diagnostic(
      `all answered in ${Math.round(performance.now() - asked)} ms; bridge ${residentMiB(bridge).toFixed(0)} MiB`,
    );
    assert.deepEqual(
      answers.map(({ stdout }) => stdout.trim()),
      launched.map(({ name }) => `${name} ${name}`),
    );
    const maps = lab.inside().map(({ pid }) => procFile(pid, "uid_map"));
    // What has just ended has none.
    assert.equal(new Set(maps.filter((map) => map !== "")).size, COUNT, "a range of ids each");

    const removing = performance.now();
    await Promise.all(launched.map(({ id }) => client.call("machines.remove", { params: { machine: id } })));
    t.diagnostic(`all removed in ${Math.round(performance.now() - removing)} ms`);
    assert.deepEqual(await lab.machines(), []);
    assert.deepEqual(await lab.containers(), []);
    await lab
      .until("its processes are gone", () => standing().join("\n") === before.processes.join("\n"))
      .catch(() => assert.deepEqual(standing(), before.processes));
    const mounts = mountsBelow(lab.root).filter((target) => !before.mounts.includes(target));
    assert.deepEqual(mounts, []);
    assert.deepEqual(readdirSync(join(lab.home, "run", "machines")), []);
    assert.deepEqual(readdirSync(join(lab.home, "state", "homes")), []);
    await client[Symbol.asyncDispose]();
    // Connections to Podman that are kept for a while are not left behind, so the bridge gets some time.
    const same = (): boolean => descriptors(bridge).length <= before.files.length;
    await lab
      .until("descriptors are closed", same)
      .catch(() => assert.deepEqual(descriptors(bridge).sort(), before.files));
    t.diagnostic(
      `descriptors of the bridge: ${before.files.length} before, ${descriptors(bridge).length} after`,
    );
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});
