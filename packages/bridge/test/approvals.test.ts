import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DenialError, DoorwardError, type EvidenceInput } from "@doorward/contracts";
import { approvalDigest, PENDING_PER_ASKER } from "../src/approvals/index.ts";
import { ask } from "./approvals-lab.ts";
import { EgressLab, eventually } from "./egress-lab.ts";

const { signal } = new AbortController();

type ApprovalRecord = Extract<EvidenceInput, { type: "approval" }>;
function records(lab: EgressLab): ApprovalRecord[] {
  return lab.records.filter((record): record is ApprovalRecord => record.type === "approval");
}

async function refusal(work: Promise<unknown>): Promise<DoorwardError> {
  const error: unknown = await work.then(
    () => assert.fail("it was approved"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof DoorwardError, String(error));
  return error;
}

function approve(lab: EgressLab, seconds: number | null = null) {
  const [pending] = lab.approvals.list();
  assert.ok(pending !== undefined);
  return lab.approvals.approve(pending.id, {
    digest: pending.digest,
    by: "operator:ada",
    seconds,
    where: "command",
  });
}

describe("the queue of approvals", () => {
  it("shows the whole effect, and hands an approval on once it is recorded", async () => {
    await using lab = await EgressLab.open({});
    const work = lab.approvals.ask(ask(), signal);
    const [pending] = lab.approvals.list();
    assert.deepEqual(pending?.lines, ["git status --short", "in /srv/app"]);
    assert.equal(pending.digest, approvalDigest(ask()));
    await approve(lab);
    const given = await work;
    assert.deepEqual([given.by, given.expiresAt, given.digest], ["operator:ada", null, pending.digest]);
    const [record] = records(lab);
    assert.deepEqual(
      [record?.decision, record?.where, record?.subject, record?.requestedBy],
      ["approved", "command", "operator:ada", "agent:codex:s1"],
    );
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("gives nothing when the decision could not be recorded", async () => {
    await using lab = await EgressLab.open({});
    const work = lab.approvals.ask(ask(), signal);
    lab.failing = true;
    await assert.rejects(approve(lab));
    lab.failing = false;
    assert.equal((await refusal(work)).code, "APPROVAL_DENIED");
  });

  it("refuses an approval of anything but what was shown", async () => {
    await using lab = await EgressLab.open({});
    const work = lab.approvals.ask(ask(), signal);
    const id = lab.approvals.list()[0]?.id ?? "";
    const other = approvalDigest(ask({ lines: ["git push --force"] }));
    const given = { digest: other, by: "operator:ada", seconds: null, where: "command" } as const;
    await assert.rejects(lab.approvals.approve(id, given), { code: "APPROVAL_CHANGED" });
    await lab.approvals.deny(id, "operator:ada", "too risky", "command");
    const error = await refusal(work);
    assert.ok(error instanceof DenialError);
    assert.match(error.message, /operator:ada refused it: too risky/);
    await assert.rejects(lab.approvals.approve(id, given), { code: "APPROVAL_NOT_FOUND" });
    await assert.rejects(lab.approvals.deny(id, "operator:ada", null, "command"), {
      code: "APPROVAL_NOT_FOUND",
    });
  });

  it("a digest covers who asks, where, each line and what it is bound to", () => {
    const digests = [
      {},
      { requestedBy: "agent:codex:s2" },
      { machine: null },
      { title: "x" },
      { lines: ["git status"] },
      { bound: { argv: ["git"], scope: 2 } },
      { operation: "system.fs.mutate" },
    ].map((changes) => approvalDigest(ask(changes)));
    assert.equal(new Set(digests).size, digests.length);
  });

  it("an approval for a time covers exactly that shape of that asker, until then, and over a restart", async () => {
    await using lab = await EgressLab.open({});
    const shaped = ask({ shape: { of: { program: "git", subcommand: "status" } } });
    const first = lab.approvals.ask(shaped, signal);
    const { id } = await approve(lab, 5);
    await first;
    assert.equal((await lab.approvals.ask({ ...shaped, lines: ["git status -b"] }, signal)).id, id);
    await lab.stop();
    await lab.start();
    assert.equal((await lab.approvals.ask(shaped, signal)).id, id);
    for (const other of [
      ask({ shape: { of: { program: "git", subcommand: "push" } } }),
      { ...shaped, requestedBy: "agent:codex:s2" },
      { ...shaped, machine: null },
      { ...shaped, operation: "system.fs.mutate" },
    ]) {
      const stop = new AbortController();
      const work = lab.approvals.ask(other, stop.signal);
      assert.equal(lab.approvals.list().length, 1);
      stop.abort();
      await assert.rejects(work);
    }
    await delay(5100);
    const over = lab.approvals.ask(shaped, signal);
    await lab.approvals.deny(lab.approvals.list()[0]?.id ?? "", "operator:ada", null, "command");
    await refusal(over);
    assert.notEqual(records(lab)[0]?.shape, null);
  });

  it("what may be approved only once is not approved for a time, and nothing for more than a day", async () => {
    await using lab = await EgressLab.open({});
    using _once = lab.approvals.question(ask());
    await assert.rejects(approve(lab, 60), { code: "INPUT_INVALID" });
    assert.equal(lab.approvals.list().length, 1);
    _once[Symbol.dispose]();
    using _lasting = lab.approvals.question(ask({ shape: { of: 1 } }));
    await assert.rejects(approve(lab, 86_401), { code: "INPUT_INVALID" });
  });

  it("nobody's answer is a no", async () => {
    await using lab = await EgressLab.open({});
    assert.match(
      (await refusal(lab.approvals.ask(ask({ seconds: 1 }), signal))).message,
      /nobody decided in time/,
    );
    await eventually(() => records(lab).length > 0, "its record");
    assert.deepEqual(
      records(lab).map(({ decision, where }) => [decision, where]),
      [["expired", "time"]],
    );
  });

  it("what a killed bridge left pending is refused by the next one, with a record", async () => {
    await using lab = await EgressLab.open({});
    lab.approvals.question(ask());
    // As after a kill: nothing is withdrawn in order, the store is opened anew.
    lab.store.close();
    const before = records(lab).length;
    await lab.start();
    assert.deepEqual(lab.approvals.list(), []);
    const [record] = records(lab).slice(before);
    assert.deepEqual([record?.decision, record?.reason], ["withdrawn", "the bridge restarted"]);
  });

  it("one asker can't fill it, nor ask for what can't be shown", async () => {
    await using lab = await EgressLab.open({});
    for (let at = 0; at < PENDING_PER_ASKER; at += 1) lab.approvals.question(ask());
    assert.throws(() => lab.approvals.question(ask()), { code: "RATE_LIMITED" });
    lab.approvals.question(ask({ requestedBy: "agent:codex:s2" }));
    const long = ask({ requestedBy: "agent:codex:s3", lines: ["x".repeat(2001)] });
    assert.throws(() => lab.approvals.question(long), { code: "INPUT_TOO_LARGE" });
  });

  it("shows control characters and bidirectional overrides as what they are", async () => {
    await using lab = await EgressLab.open({});
    using _asked = lab.approvals.question(ask({ title: "run \u001b[2J", lines: ["rm -rf \u202e/"] }));
    const [pending] = lab.approvals.list();
    assert.equal(pending?.title, "run \\u001b[2J");
    assert.equal(pending.lines[0], "rm -rf \\u202e/");
  });

  it("tells those who watch of each change, and withdraws what nobody waits for", async () => {
    await using lab = await EgressLab.open({});
    const seen: number[] = [];
    using _listening = lab.approvals.onChange(() => seen.push(lab.approvals.list().length));
    const stop = new AbortController();
    const work = lab.approvals.ask(ask(), stop.signal);
    stop.abort();
    await assert.rejects(work);
    await eventually(() => records(lab).length > 0, "its record");
    assert.deepEqual(seen, [1, 0]);
    assert.equal(records(lab)[0]?.decision, "withdrawn");
  });
});
