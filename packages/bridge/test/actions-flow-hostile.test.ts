import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ACTIONS_PER_MACHINE } from "../src/actions/flow.ts";
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

  it("of one machine under many names leave room for those of others", async () => {
    await using lab = await FlowLab.open();
    const here = { id: "m_shop000000", name: "shop" };
    const gone = new AbortController();
    const ask = (name: string, machine = here) => {
      const asker = { ...lab.asker("clipboard.read"), subject: `agent:codex:${name}`, machine };
      return lab.actions.perform(asker, { action: "system.clipboard.read", payload: {} }, gone.signal);
    };
    const working = Array.from({ length: ACTIONS_PER_MACHINE }, (_, at) => ask(`s${String(at)}`));
    const refused = await ask("one-more");
    assert.ok(!refused.ok);
    assert.match(refused.error, /60 actions of machine "shop" are under way/);
    const other = await ask("s1", { id: "m_lab0000000", name: "lab" });
    assert.ok(!other.ok);
    assert.doesNotMatch(other.error, /under way/);
    gone.abort();
    await Promise.all(working);
  });
});
