import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fillEvidence, smallEvidenceDisk } from "../support/full-evidence.ts";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";

const POLICY = `egress: { askSeconds: 300 }
grants:
  - to: "agent:test:*"
    doors: [terminal]
    operations: [terminal.observe]
    for: 8h
`;
/** Asks the way out for a host that no rule names, and waits. */
const ASKS = `exec 3<>/dev/tcp/127.0.0.1/3128
printf 'CONNECT nobody.example:443 HTTP/1.1\\r\\nHost: nobody.example:443\\r\\n\\r\\n' >&3
cat <&3`;

describe("a bridge that starts while its evidence has no room", { skip: needsRoot }, () => {
  let lab: Lab;

  before(async () => {
    lab = await openLab({ policy: POLICY });
    smallEvidenceDisk(lab);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const pending = async (): Promise<number> => {
    await using client = lab.client();
    return (await client.call("approvals.list", {})).approvals.length;
  };
  const stored = async (): Promise<string[]> => (await lab.machines()).map(({ state }) => state);

  it("has its machines, and stops them; nothing that waited goes on", { timeout: 600_000 }, async () => {
    const kept = await lab.up(lab.repo("shop"), "--name", "kept");
    const other = await lab.up(lab.repo("other"), "--name", "other");
    const asks = lab.exec(kept, ["bash", "-c", ASKS]).catch(() => undefined);
    await lab.until("a question waits", async () => (await pending()) === 1);
    assert.equal(await fillEvidence(lab, kept), "EVIDENCE_UNWRITABLE");
    await lab.killBridge();
    await asks;

    const listed = await lab.run(["ls"]);
    assert.equal(listed.code, 0, listed.stderr);
    assert.deepEqual(await stored(), ["running", "running"]);
    assert.equal(await pending(), 0);
    const stopped = await lab.run(["stop", kept]);
    assert.equal(stopped.code, 0, stopped.stderr);
    const door = await lab.run(["exec", other, "--", "true"]);
    assert.notEqual(door.code, 0, "no door opens without its record");
    assert.match(door.stderr, /evidence|record/i);
  });

  it("records its start when there is room again, and the next one what waited", async () => {
    execFileSync("rm", [join(lab.evidence, "filler")]);
    await lab.until("the second start is recorded", async () => {
      return (await lab.records("bridge-start")).length === 2;
    });
    assert.equal((await lab.exec("other", ["true"])).code, 0);
    await lab.stopBridge();
    assert.equal((await lab.run(["ls"])).code, 0);
    const [withdrawn] = await lab.records("approval");
    assert.match(withdrawn?.summary ?? "", /the bridge restarted/);
    const verified = await lab.run(["evidence", "verify"]);
    assert.equal(verified.code, 0, verified.stdout);
  });
});
