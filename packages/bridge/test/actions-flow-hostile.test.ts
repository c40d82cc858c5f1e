import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FlowLab } from "./actions-flow-lab.ts";

const touch = (lab: FlowLab, name: string) => ({
  action: "system.process.exec",
  payload: { scope: "tool", command: lab.program, cwd: lab.work, args: ["touch", name] },
});

describe("host actions, under pressure", () => {
  it("that could not be recorded are not said to have run", async () => {
    await using lab = await FlowLab.open();
    lab.failing = ({ type }) => type === "host-action";
    const answer = await lab.perform(touch(lab, "made"));
    lab.failing = () => false;
    assert.ok(!answer.ok);
    assert.doesNotMatch(answer.error, /it ran/);
    assert.equal(existsSync(join(lab.work, "made")), false);
    const [report] = lab.actions.reports(null);
    assert.equal(report?.state, "waiting");
  });

  it("do not run in a scope that was taken away while their beginning was recorded", async () => {
    await using lab = await FlowLab.open();
    lab.failing = (record) => {
      if (record.type === "host-action" && record.event === "began")
        lab.policy = { version: 1, roots: [], actions: {} };
      return false;
    };
    const answer = await lab.perform(touch(lab, "made"));
    assert.ok(!answer.ok);
    assert.equal(answer.code, "SCOPE_DENIED");
    assert.equal(existsSync(join(lab.work, "made")), false);
  });

  it("leave nothing behind on a grant that lives on", async () => {
    await using lab = await FlowLab.open();
    const asker = lab.asker("clipboard.read");
    const grant = asker.grant?.signal;
    assert.ok(grant !== undefined);
    lab.policy = { ...lab.policy, actions: { clipboard: { read: true, confirmRead: "never" } } };
    for (let round = 0; round < 5; round += 1)
      await lab.perform({ action: "system.clipboard.read", payload: {} }, "wait", asker);
    // What Node keeps on a signal for each `AbortSignal.any` that was made of it, for as long as the signal lives.
    const kept = Object.getOwnPropertySymbols(grant).find(
      ({ description }) => description === "kDependantSignals",
    );
    const dependants = (kept === undefined ? undefined : Reflect.get(grant, kept)) as
      Set<unknown> | undefined;
    assert.equal(dependants?.size ?? 0, 0);
  });
});
