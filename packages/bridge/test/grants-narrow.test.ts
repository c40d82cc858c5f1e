import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DOORS,
  OPERATIONS,
  TOOL_NAMES,
  type HostInterfaceGrant,
  type Operation,
  type ToolName,
} from "@doorward/contracts";
import fc from "fast-check";
import { MAX_DEPTH, MAX_DESCENDANTS, type Narrowing } from "../src/grants/index.ts";
import { covers } from "../src/grants/scope.ts";
import { AGENT, allowing, Lab, MACHINE, OPERATOR, withCode } from "./grants-lab.ts";

test("a child without wishes is as wide as its parent and ends with it", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  const parent = lab.grants.get(id).grant;
  const { grant } = await lab.grants.narrow(id, {}, AGENT);
  assert.deepEqual(
    { ...grant, id: 0, grantId: 0, revocationRef: 0, parent: 0, issuedBy: 0 },
    { ...parent, id: 0, grantId: 0, revocationRef: 0, parent: 0, issuedBy: 0 },
  );
  assert.equal(grant.parent, id);
  assert.equal(grant.issuedBy, AGENT);
  assert.deepEqual(
    lab.evidence.of("narrowed").map(({ parent: from }) => from),
    [id],
  );
});

test("a child that is wider in any way is refused with GRANT_TOO_WIDE", async (t) => {
  const lab = new Lab(t);
  const operations = ["terminal.observe"] as const;
  const request = { machine: MACHINE, subject: AGENT, operations, paths: ["/srv/repos/app"], seconds: 60 };
  const { grant } = await lab.grants.mint(request, OPERATOR);
  const wider: Narrowing[] = [
    { operations: ["terminal.attach"] },
    { operations: ["terminal.observe", "terminal.input"] },
    { paths: ["/srv/repos"] },
    { paths: ["/srv/repos/lib"] },
    { paths: ["/srv/repos/app", "/srv/repos/application"] },
    { seconds: 61 },
    { doors: ["browser"] as never },
    { subject: OPERATOR },
  ];
  for (const ask of wider) {
    await assert.rejects(
      lab.grants.narrow(grant.grantId, ask, AGENT),
      withCode("GRANT_TOO_WIDE"),
      JSON.stringify(ask),
    );
  }
  assert.equal(lab.grants.list().length, 1);
});

test("an agent can't name the operator as its child's subject, the operator can", async (t) => {
  const lab = new Lab(t);
  const own = await lab.mint(60, OPERATOR);
  const child = await lab.grants.narrow(own.id, {}, OPERATOR);
  assert.equal(child.grant.subject, OPERATOR);
  await assert.rejects(
    lab.grants.narrow(own.id, { subject: "operator:eve" }, OPERATOR),
    withCode("GRANT_TOO_WIDE"),
  );
});

test("a child's subject must be one that the policy would grant this to", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  lab.grants.rejudge(allowing("b", ({ subject }) => subject.endsWith(":s3")));
  await assert.rejects(
    lab.grants.narrow(id, { subject: "agent:codex:s3" }, AGENT),
    withCode("GRANT_TOO_WIDE", /no rule/),
  );
  await lab.grants.narrow(id, { subject: "agent:codex:s2" }, AGENT);
});

test("an agent's child grant is for its own kind of client, which tools and refusals go by", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  for (const subject of ["agent:openclaw:s1", "agent:codex2:s1", "ci:deploy", "plugin:acme.tool"])
    await assert.rejects(
      lab.grants.narrow(id, { subject }, AGENT),
      withCode("GRANT_TOO_WIDE", /can't name/),
      subject,
    );
  const { grant } = await lab.grants.narrow(id, { subject: "agent:codex:s2" }, AGENT);
  assert.equal(grant.subject, "agent:codex:s2");
  const own = await lab.mint(60, OPERATOR);
  await lab.grants.narrow(own.id, { subject: "agent:openclaw:s1" }, OPERATOR);
});

test("paths narrower than the repos are refused for a child that runs code", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  await assert.rejects(
    lab.grants.narrow(id, { paths: ["/srv/repos/app"] }, AGENT),
    withCode("GRANT_UNENFORCEABLE"),
  );
  const ask: Narrowing = { paths: ["/srv/repos/app"], operations: ["terminal.observe"] };
  const { grant } = await lab.grants.narrow(id, ask, AGENT);
  await assert.rejects(
    lab.grants.narrow(grant.grantId, { paths: ["/srv/repos/lib"] }, AGENT),
    withCode("GRANT_TOO_WIDE"),
  );
});

test("an ended parent can't be narrowed", async (t) => {
  const lab = new Lab(t);
  const revoked = await lab.mint();
  lab.grants.revoke(revoked.id, "done", OPERATOR);
  await assert.rejects(lab.grants.narrow(revoked.id, {}, AGENT), withCode("GRANT_REVOKED"));
  const expired = await lab.mint(60);
  lab.clock.pass(60_000);
  await assert.rejects(lab.grants.narrow(expired.id, {}, AGENT), withCode("GRANT_EXPIRED"));
  await assert.rejects(lab.grants.narrow("g_0000000000", {}, AGENT), withCode("GRANT_NOT_FOUND"));
});

test("a parent revoked while its child is being recorded takes the child with it", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  let open: () => void = () => undefined;
  lab.evidence.gate = new Promise((resolve) => (open = resolve));
  const narrowing = lab.grants.narrow(id, {}, AGENT);
  lab.grants.revoke(id, "done", OPERATOR);
  open();
  await assert.rejects(narrowing, withCode("GRANT_REVOKED"));
  assert.deepEqual(lab.grants.list(), []);
});

test("chains deeper and families larger than their limits are refused", async (t) => {
  const lab = new Lab(t);
  let { id } = await lab.mint();
  const root = id;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1)
    id = (await lab.grants.narrow(id, {}, AGENT)).grant.grantId;
  await assert.rejects(lab.grants.narrow(id, {}, AGENT), withCode("GRANT_TOO_WIDE", /8 steps/));
  for (let made = MAX_DEPTH; made < MAX_DESCENDANTS; made += 1) await lab.grants.narrow(root, {}, AGENT);
  await assert.rejects(lab.grants.narrow(root, {}, AGENT), withCode("RATE_LIMITED"));
  assert.equal(lab.grants.revoke(root, "done", OPERATOR).revoked.length, MAX_DESCENDANTS + 1);
});

test("a holder sees its own grant and what was made from it, nothing else", async (t) => {
  const lab = new Lab(t);
  const one = await lab.mint();
  const two = await lab.mint();
  const child = await lab.grants.narrow(one.id, {}, AGENT);
  const seen = lab.grants.list({ ofSubtree: one.id }).map(({ grant }) => grant.grantId);
  assert.deepEqual(seen, [one.id, child.grant.grantId]);
  assert.equal(lab.grants.isWithin(child.grant.grantId, one.id), true);
  assert.equal(lab.grants.isWithin(one.id, one.id), true);
  assert.equal(lab.grants.isWithin(one.id, child.grant.grantId), false);
  assert.equal(lab.grants.isWithin(two.id, one.id), false);
  assert.equal(lab.grants.isWithin("g_0000000000", one.id), false);
});

test("renewing gives a new end from now, and its record comes first", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint(60);
  lab.clock.pass(50_000);
  const renewed = await lab.grants.renew(id, 60, OPERATOR);
  assert.equal(renewed.grant.expiresAt, "2026-11-21T10:01:50.000Z");
  assert.equal(lab.evidence.of("renewed")[0]?.["previousExpiresAt"], "2026-11-21T10:01:00.000Z");
  lab.clock.pass(59_000);
  lab.grants.check(id, "terminal.attach", MACHINE.id);
  await lab.restart();
  lab.grants.check(id, "terminal.attach", MACHINE.id);
  lab.clock.pass(1000);
  assert.throws(() => lab.grants.check(id, "terminal.attach", MACHINE.id), withCode("GRANT_EXPIRED"));
});

test("a renewal that can't be recorded, that policy refuses or that outlives the parent changes nothing", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint(60);
  const child = (await lab.grants.narrow(id, { seconds: 10 }, AGENT)).grant;
  await assert.rejects(lab.grants.renew(child.grantId, 61, OPERATOR), withCode("GRANT_TOO_WIDE"));
  lab.grants.rejudge(allowing("b", ({ seconds }) => seconds > 3600));
  await assert.rejects(lab.grants.renew(id, 3601, OPERATOR), withCode("GRANT_TOO_WIDE"));
  await assert.rejects(lab.grants.renew(id, 0, OPERATOR), withCode("INPUT_INVALID"));
  lab.evidence.failing = true;
  await assert.rejects(lab.grants.renew(id, 120, OPERATOR), withCode("EVIDENCE_UNWRITABLE"));
  assert.equal(lab.grants.get(id).grant.expiresAt, "2026-11-21T10:01:00.000Z");
  assert.equal(lab.grants.get(child.grantId).grant.expiresAt, child.expiresAt);
});

test("a grant revoked or expired while its renewal is being recorded stays ended", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint(60);
  let open: () => void = () => undefined;
  lab.evidence.gate = new Promise((resolve) => (open = resolve));
  const renewing = lab.grants.renew(id, 600, OPERATOR);
  lab.clock.pass(60_000);
  open();
  await assert.rejects(renewing, withCode("GRANT_EXPIRED"));
  await assert.rejects(lab.grants.renew(id, 600, OPERATOR), withCode("GRANT_EXPIRED"));
});

test("a policy that changes while a renewal is being recorded decides about it", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint(60);
  let open: () => void = () => undefined;
  lab.evidence.gate = new Promise((resolve) => (open = resolve));
  const renewing = lab.grants.renew(id, 7200, OPERATOR);
  lab.grants.rejudge(allowing("b", ({ seconds }) => seconds > 3600));
  open();
  await assert.rejects(renewing, withCode("GRANT_TOO_WIDE"));
  assert.equal(lab.grants.get(id).grant.expiresAt, "2026-11-21T10:01:00.000Z");
});

test("a parent whose end is moved nearer takes its children's end along", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint(3600);
  const child = (await lab.grants.narrow(id, {}, AGENT)).grant.grantId;
  const grandchild = (await lab.grants.narrow(child, {}, AGENT)).grant.grantId;
  const { expiresAt } = (await lab.grants.renew(id, 60, OPERATOR)).grant;
  assert.equal(lab.grants.get(child).grant.expiresAt, expiresAt);
  assert.equal(lab.grants.get(grandchild).grant.expiresAt, expiresAt);
  await lab.restart();
  lab.clock.wallMs -= 3_600_000;
  lab.clock.monotonicMs += 60_000;
  assert.throws(() => lab.grants.check(grandchild, "terminal.attach", MACHINE.id), withCode("GRANT_EXPIRED"));
});

const paths = [
  "/srv/repos/app",
  "/srv/repos/app/src",
  "/srv/repos/app/src/a",
  "/srv/repos/lib",
  "/srv/repos",
  "/etc",
];
const step = fc.record({
  parent: fc.nat(),
  pass: fc.integer({ min: 0, max: 20 }),
  seconds: fc.option(fc.integer({ min: 1, max: 330 }), { nil: undefined, freq: 2 }),
  operations: fc.option(fc.uniqueArray(fc.constantFrom<Operation>(...OPERATIONS), { minLength: 1 }), {
    nil: undefined,
  }),
  tools: fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.uniqueArray(fc.constantFrom<ToolName>(...TOOL_NAMES), { minLength: 1 }) },
  ),
  paths: fc.option(fc.uniqueArray(fc.constantFrom(...paths), { maxLength: 3 }), { nil: undefined, freq: 2 }),
  act: fc.constantFrom("narrow", "narrow", "narrow", "renew"),
});

function assertWithin(child: HostInterfaceGrant, parent: HostInterfaceGrant): void {
  const doing = JSON.stringify({ child, parent });
  assert.ok(
    child.operations.every((one) => parent.operations.includes(one)),
    doing,
  );
  assert.ok(
    child.doors.every((one) => parent.doors.includes(one)),
    doing,
  );
  assert.ok(
    child.repoPaths.every((one) => covers(parent.repoPaths, one)),
    doing,
  );
  const served = child.operations.some((one) => one.startsWith("agent-tool."));
  if (parent.tools !== undefined && served)
    assert.ok(
      child.tools?.every((one) => parent.tools?.includes(one)),
      doing,
    );
  assert.ok(child.expiresAt <= parent.expiresAt, doing);
  assert.equal(child.machine, parent.machine);
}

test("over random chains of narrowing and renewing, no child exceeds any of its ancestors", async (t) => {
  const lab = new Lab(t);
  let children = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
      const operations = [...OPERATIONS];
      const minted = await lab.grants.mint(
        { machine: { ...MACHINE, doors: [...DOORS] }, subject: AGENT, operations, seconds: 300 },
        OPERATOR,
      );
      const ids = [minted.grant.grantId];
      for (const { parent, pass, act, ...ask } of steps) {
        lab.clock.pass(pass * 1000);
        const id = ids[parent % ids.length]!;
        try {
          if (act === "renew") await lab.grants.renew(id, ask.seconds ?? 50, OPERATOR);
          else ids.push((await lab.grants.narrow(id, ask, AGENT)).grant.grantId);
        } catch (error) {
          assert.match(
            (error as { code: string }).code,
            /^(?:GRANT_(TOO_WIDE|UNENFORCEABLE|EXPIRED)|INPUT_INVALID)$/,
          );
        }
      }
      for (const { grant, status } of lab.grants.list({ ofSubtree: ids[0]!, includeEnded: true })) {
        if (grant.parent === null) continue;
        const parent = lab.grants.get(grant.parent);
        assertWithin(grant, parent.grant);
        assert.ok(status !== "active" || parent.status === "active");
        children += 1;
      }
      lab.grants.revoke(ids[0]!, "done", OPERATOR);
    }),
    { numRuns: 100 },
  );
  assert.ok(children > 100, `only ${children} children were made`);
});
