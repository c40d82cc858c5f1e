import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import Database from "libsql";
import { join } from "node:path";
import {
  Approvals,
  PENDING_PER_MACHINE,
  PENDING_PER_ASKER,
  type ApprovalAsk,
} from "../src/approvals/index.ts";
import { approvalHandlers } from "../src/daemon/handlers/approvals.ts";
import { ask as askOnce } from "./approvals-lab.ts";
import { EgressLab, LAB, eventually } from "./egress-lab.ts";
import { HandClock, SILENT } from "./grants-lab.ts";

const { signal } = new AbortController();

/** A question whose answer may hold for a time. */
const ask = (changes: Partial<ApprovalAsk> = {}): ApprovalAsk =>
  askOnce({ shape: { of: "git status" }, ...changes });

/** The store finds no room for documents of a collection from now on. */
function full(lab: EgressLab, collection: string): void {
  const database = new Database(join(lab.base, "store.db"));
  database.exec(`CREATE TRIGGER no_room BEFORE INSERT ON documents WHEN NEW.collection = '${collection}'
    BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`);
  database.close();
}

describe("the queue of approvals, under pressure", () => {
  it("refuses who asked when an approval for a time can't be stored, instead of leaving him waiting", async () => {
    await using lab = await EgressLab.open({});
    const work = lab.approvals.ask(ask(), signal);
    full(lab, "standing-approvals");
    const [pending] = lab.approvals.list();
    assert.ok(pending !== undefined);
    const given = { digest: pending.digest, by: "operator:ada", seconds: 600, where: "command" } as const;
    await assert.rejects(lab.approvals.approve(pending.id, given), /full/);
    const late = delay(5000, "still waiting", { ref: false });
    await assert.rejects(Promise.race([work, late]), { code: "APPROVAL_DENIED" });
    assert.equal(lab.approvals.standing(ask()), null);
  });

  it("keeps room for other machines when one asks under many names", async () => {
    await using lab = await EgressLab.open({});
    const asking = (name: string, count: number): void => {
      for (let at = 0; at < count; at += 1)
        lab.approvals.question(ask({ requestedBy: `agent:codex:${name}` })).decided.catch(() => undefined);
    };
    const names = PENDING_PER_MACHINE / PENDING_PER_ASKER;
    for (let name = 0; name < names; name += 1) asking(`s${name}`, PENDING_PER_ASKER);
    assert.throws(() => lab.approvals.question(ask({ requestedBy: "agent:codex:one-more" })), {
      code: "RATE_LIMITED",
      message: /60 decisions of machine "shop" are pending already/,
    });
    lab.approvals.question(ask({ machine: { id: LAB.id, name: LAB.name } }));
    assert.equal(lab.approvals.list().length, PENDING_PER_MACHINE + 1);
  });

  it("a question that grew too long to be shown still asks what was shown", async () => {
    await using lab = await EgressLab.open({});
    using question = lab.approvals.question(ask());
    const [before] = lab.approvals.list();
    const lines = Array.from({ length: 2001 }, () => "git push --force");
    const grown = { title: "codex wants more", lines, bound: "more" };
    assert.throws(() => question.amend(grown), { code: "INPUT_TOO_LARGE" });
    assert.deepEqual(lab.approvals.list(), [before]);
    assert.equal(question.amend({ title: "codex wants more", lines: ["git push"], bound: "more" }), true);
    assert.deepEqual(lab.approvals.list()[0]?.lines, ["git push"]);
  });

  it("a question that can't be stored is not asked, nor left behind", async () => {
    await using lab = await EgressLab.open({});
    full(lab, "approvals");
    assert.throws(() => lab.approvals.question(ask()), /full/);
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("keeps no more text waiting for one machine than can be shown again at each change", async () => {
    await using lab = await EgressLab.open({});
    const lines = Array.from({ length: 2000 }, () => "\u0001".repeat(300));
    const wide = (name: string) => ask({ requestedBy: `agent:codex:${name}`, lines });
    lab.approvals.question(wide("s1"));
    lab.approvals.question(wide("s2"));
    assert.throws(() => lab.approvals.question(wide("s3")), {
      code: "RATE_LIMITED",
      message: /what waits for machine "shop" is too long already/,
    });
    lab.approvals.question({ ...wide("s1"), machine: { id: LAB.id, name: LAB.name } });
    lab.approvals.question(ask({ machine: null, requestedBy: "operator:ada" }));
  });

  it("tells those who watch what they were too slow for, once they read again", async () => {
    await using lab = await EgressLab.open({});
    const gone = new AbortController();
    const told: number[] = [];
    let reading = false;
    const tell = ({ approvals }: { approvals: readonly unknown[] }): boolean => {
      if (reading) told.push(approvals.length);
      return reading;
    };
    const watch = approvalHandlers(lab.approvals)["approvals.watch"] as (call: unknown) => Promise<unknown>;
    const watching = watch({ tell, signal: gone.signal });
    using _question = lab.approvals.question(ask());
    reading = true;
    await eventually(() => told.length > 0, "what was missed is told");
    assert.deepEqual(told, [1]);
    gone.abort();
    await watching;
  });

  it("ends an approval for a time by either clock, also for the next bridge", async () => {
    await using lab = await EgressLab.open({});
    const clock = new HandClock();
    const append = () => Promise.resolve();
    const evidence = { append, keyedDigest: () => `sha256:${"0".repeat(64)}` };
    const shared = { store: lab.store, evidence, clock, notifier: null, log: SILENT };
    const open = () =>
      Approvals.open({ ...shared, policyHash: () => "h", bridgeSubject: "operator:doorward" });
    await using approvals = await open();
    const work = approvals.ask(ask(), signal);
    const [pending] = approvals.list();
    assert.ok(pending !== undefined);
    const given = { digest: pending.digest, by: "operator:ada", seconds: 600, where: "command" } as const;
    await approvals.approve(pending.id, given);
    await work;
    clock.wallMs -= 86_400_000;
    clock.monotonicMs += 599_000;
    assert.notEqual(approvals.standing(ask()), null);
    clock.monotonicMs += 1000;
    await using next = await open();
    assert.equal(next.standing(ask()), null);
    assert.equal(approvals.standing(ask()), null);
  });
});
