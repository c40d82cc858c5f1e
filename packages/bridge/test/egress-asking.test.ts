import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { EgressLab, eventually, LAB, of, refusal, SHOP, signal } from "./egress-lab.ts";

describe("asking", () => {
  const ask = { egress: { askSeconds: 30 } };

  it("one question lists all hosts that a machine waits for, and its approval allows them all for the chosen time", async () => {
    await using lab = await EgressLab.open(ask);
    const hosts = ["registry.example.com", "cdn.example.com", "git.example.com"];
    const waiting = hosts.flatMap((host) =>
      [0, 1, 2].map(() => lab.egress.gate.decide(lab.target(host, 443), signal)),
    );
    await eventually(() => lab.approvals.list()[0]?.lines.length === 4, "three hosts and what it means");
    const [question, ...more] = lab.approvals.list();
    assert.ok(question !== undefined && more.length === 0);
    assert.deepEqual(lab.notified.length, 1);
    assert.deepEqual(
      question.lines.slice(0, 3),
      hosts.map((host) => `${host} port 443`),
    );
    await lab.approvals.approve(question.id, {
      digest: question.digest,
      by: "operator:ada",
      seconds: 600,
      where: "command",
    });
    for (const permit of await Promise.all(waiting)) assert.match(permit.rule, /^allowed until/);
    assert.equal(of(lab, "approval").length, 1);
    await eventually(() => of(lab, "egress-change").length === 3, "each host is recorded");
    assert.ok(
      of(lab, "egress-change").every(
        ({ subject, expiresAt }) => subject === "operator:ada" && expiresAt !== null,
      ),
    );
    assert.deepEqual(lab.egress.view(SHOP).refused, []);
  });

  it("what was shown before another host came is not approved", async () => {
    await using lab = await EgressLab.open(ask);
    const one = lab.egress.gate.decide(lab.target("a.example.com", 443), signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    const shown = lab.approvals.list()[0];
    const two = lab.egress.gate.decide(lab.target("b.example.com", 443), signal);
    await eventually(() => lab.approvals.list()[0]?.lines.length === 3, "both hosts");
    assert.ok(shown !== undefined);
    const given = { digest: shown.digest, by: "operator:ada", seconds: null, where: "command" } as const;
    await assert.rejects(lab.approvals.approve(shown.id, given), { code: "APPROVAL_CHANGED" });
    await lab.approvals.deny(shown.id, "operator:ada", "not these", "command");
    for (const work of [one, two]) {
      const error = await refusal(work);
      assert.equal(error.code, "EGRESS_DENIED");
      assert.match(error.message, /not these/);
    }
  });

  it("a refusal is final: the same host is refused at once and not asked again", async () => {
    await using lab = await EgressLab.open(ask);
    const work = lab.egress.gate.decide(lab.target("a.example.com", 443), signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    await lab.approvals.deny(lab.approvals.list()[0]?.id ?? "", "operator:ada", null, "command");
    await refusal(work);
    await refusal(lab.egress.gate.decide(lab.target("a.example.com", 443), signal));
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("nobody's answer is a no, and two machines are two questions", async () => {
    await using lab = await EgressLab.open({ egress: { askSeconds: 5 } });
    const works = [SHOP, LAB].map((machine) =>
      lab.egress.gate.decide(lab.target("a.example.com", 443, machine), signal),
    );
    await eventually(() => lab.approvals.list().length === 2, "two questions");
    for (const work of works) assert.equal((await refusal(work)).code, "EGRESS_DENIED");
    await eventually(() => of(lab, "approval").length === 2, "both are recorded");
    assert.ok(of(lab, "approval").every(({ decision, where }) => decision === "expired" && where === "time"));
  });

  it("denied hosts, addresses and local names are never asked about", async () => {
    await using lab = await EgressLab.open({ egress: { askSeconds: 30, deny: ["evil.example.com"] } });
    for (const host of ["evil.example.com", "10.0.0.1", "localhost", "bad host"]) {
      await refusal(lab.egress.gate.decide(lab.target(host, 443), signal));
    }
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("a connection that goes away stops waiting; the question stays for the next", async () => {
    await using lab = await EgressLab.open(ask);
    const gone = new AbortController();
    const work = lab.egress.gate.decide(lab.target("a.example.com", 443), gone.signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    gone.abort();
    await assert.rejects(work);
    assert.equal(lab.approvals.list().length, 1);
    await lab.egress.end(SHOP.id, "stopped");
    await eventually(() => lab.approvals.list().length === 0, "it goes with the machine");
  });

  it("what was approved is in force only once its record is durable, and not at all when there is none", async () => {
    await using lab = await EgressLab.open(ask);
    const work = lab.egress.gate.decide(lab.target("a.example.com", 443), signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    const { id = "", digest = "" } = lab.approvals.list()[0] ?? {};
    const append = lab.holdBack("egress-change");
    await lab.approvals.approve(id, { digest, by: "operator:ada", seconds: null, where: "command" });
    await delay(50);
    assert.deepEqual(lab.egress.view(SHOP).allowances, []);
    append.reject(new Error("disk full"));
    assert.equal((await refusal(work)).code, "INTERNAL");
    assert.deepEqual(lab.egress.view(SHOP).allowances, []);
  });
});

describe("an agent that asks for a host", () => {
  const request = {
    machine: SHOP,
    subject: "agent:codex:s1",
    host: "A.example.com",
    port: 443,
    reason: "docs\u001b[2J",
  };

  it("gets the rule once the operator approved what he was shown", async () => {
    await using lab = await EgressLab.open({});
    const work = lab.egress.request({ ...request, grant: "g_1", correlationId: "s_1" }, signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    const [question] = lab.approvals.list();
    assert.ok(question !== undefined);
    assert.deepEqual(
      [question.requestedBy, question.lines[0], question.lines[1]],
      ["agent:codex:s1", '"agent:codex:s1" asks, because: docs\\u001b[2J', "a.example.com port 443"],
    );
    const given = { digest: question.digest, by: "operator:ada", seconds: 60, where: "command" } as const;
    await lab.approvals.approve(question.id, given);
    const answer = await work;
    assert.deepEqual([answer.decision, answer.host], ["approved", "a.example.com"]);
    assert.match(answer.rule, /^allowed until/);
    assert.deepEqual(
      of(lab, "approval").map(({ grant, correlationId }) => [grant, correlationId]),
      [["g_1", "s_1"]],
    );
    assert.equal(of(lab, "egress-change").length, 1);
    assert.equal((await lab.egress.request(request, signal)).decision, "standing");
  });

  it("is refused without a question where the answer stands: denied, special, local or said no a moment ago", async () => {
    await using lab = await EgressLab.open({ egress: { deny: ["evil.example.com"] } });
    for (const host of ["evil.example.com", "10.0.0.1", "localhost", "bad host"])
      await refusal(lab.egress.request({ ...request, host }, signal));
    assert.deepEqual(lab.approvals.list(), []);
    const work = lab.egress.request(request, signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    await lab.approvals.deny(lab.approvals.list()[0]?.id ?? "", "operator:ada", "no", "command");
    for (const error of [await refusal(work), await refusal(lab.egress.request(request, signal))])
      assert.equal(error.code, "EGRESS_DENIED");
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("withdraws its question when it goes away, and may ask again", async () => {
    await using lab = await EgressLab.open({});
    const gone = new AbortController();
    const work = lab.egress.request(request, gone.signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    gone.abort();
    await assert.rejects(work);
    await eventually(() => lab.approvals.list().length === 0, "it is withdrawn");
    const again = lab.egress.request(request, signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    await lab.egress.end(SHOP.id, "stopped");
    assert.equal((await refusal(again)).code, "EGRESS_DENIED");
  });
});
