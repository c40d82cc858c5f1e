import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";

const PADDED = `profiles:
  padded:
    environment: { PADDING: "${"x".repeat(400)}" }
`;

/** Overwrites the environment of the machine's first process, so that it is one name, far too long. */
const SPOIL_ENVIRONMENT = `
stat = open('/proc/1/stat').read().rsplit(')', 1)[1].split()
start, end = int(stat[47]), int(stat[48])
memory = open('/proc/1/mem', 'r+b', 0)
memory.seek(start)
memory.write(b'A' * (end - start))
print(len(open('/proc/1/environ', 'rb').read()))
`;

describe("a machine that spoils what the bridge measures of it", { skip: needsRoot }, () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab({ policy: PADDED });
    await lab.up(lab.repo("spoiled"), "--profile", "padded");
    await lab.up(lab.repo("honest"));
  });
  after(async () => await lab[Symbol.asyncDispose]());

  it("is ended and recorded by the next bridge, which adopts the other machines", async () => {
    const spoiled = await lab.exec("spoiled", ["python3", "-c", SPOIL_ENVIRONMENT]);
    assert.ok(Number(spoiled.stdout) > 400, spoiled.stderr);
    const fill = "import os; os.mknod('/dev/shm/' + 'x' * 250, 0o020600, 0)";
    assert.equal((await lab.exec("honest", ["python3", "-c", fill])).code, 0);
    await lab.killBridge();
    assert.equal((await lab.run(["ls"])).code, 0);
    await lab.until("machines are adopted", async () => {
      await using client = lab.client();
      return (await client.call("bridge.status", {})).ready;
    });
    assert.equal((await lab.exec("honest", ["echo", "here"])).stdout, "here\n");
    assert.equal((await lab.machine("spoiled")).state, "stopped");
    const [end] = await lab.records("machine-end");
    assert.match(end?.summary ?? "", /spoiled was killed: it is not what was intended/);
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});
