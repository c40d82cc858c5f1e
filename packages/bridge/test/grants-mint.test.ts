import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GrantView, HostInterfaceGrant, MintedGrant } from "@doorward/contracts";
import { newToken } from "../src/grants/token.ts";
import { AGENT, allowing, Lab, MACHINE, OPERATOR, withCode } from "./grants-lab.ts";

const base = { machine: MACHINE, subject: AGENT, operations: ["terminal.attach"], seconds: 60 } as const;

test("a minted grant is the contract's document and its token authenticates", async (t) => {
  const lab = new Lab(t);
  const minted = MintedGrant.parse(await lab.grants.mint(base, OPERATOR));
  assert.deepEqual(minted.grant.doors, ["terminal"]);
  assert.deepEqual(minted.grant.repoPaths, MACHINE.repoHostPaths);
  assert.equal(minted.grant.expiresAt, "2026-11-21T10:01:00.000Z");
  assert.equal(minted.grant.id, `urn:srcos:host-interface-grant:${minted.grant.grantId.slice(2)}`);
  assert.equal(minted.status, "active");
  assert.equal(lab.grants.authenticate(minted.token).id, minted.grant.grantId);
  lab.grants.check(minted.grant.grantId, "terminal.attach", MACHINE.id);
  assert.deepEqual(
    GrantView.parse(lab.grants.get(minted.grant.grantId)).lastUsedAt,
    "2026-11-21T10:00:00.000Z",
  );
});

test("no token and no secret is in any file of the store", async (t) => {
  const lab = new Lab(t);
  const { token } = await lab.mint();
  const secret = token.split("_")[2]!;
  for (const file of readdirSync(lab.dir))
    assert.ok(!readFileSync(join(lab.dir, file), "latin1").includes(secret), file);
});

test("a forged token of a grant that exists is refused with TOKEN_INVALID", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  assert.throws(() => lab.grants.authenticate(newToken(id).token), withCode("TOKEN_INVALID"));
});

test("a token of a grant that never existed gets the same answer as a forged one", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  const told = (token: string): string => {
    try {
      lab.grants.authenticate(token);
    } catch (error) {
      return String(error);
    }
    return "accepted";
  };
  assert.equal(told(newToken(id).token), told(newToken("g_aaaaaaaaaaaaaaaa").token));
});

test("a forged token of a revoked grant does not learn that it was revoked", async (t) => {
  const lab = new Lab(t);
  const { id, token } = await lab.mint();
  lab.grants.revoke(id, "lost laptop", OPERATOR);
  assert.throws(() => lab.grants.authenticate(newToken(id).token), withCode("TOKEN_INVALID"));
  assert.throws(() => lab.grants.authenticate(token), withCode("GRANT_REVOKED", /lost laptop/));
});

test("a token replayed after a restart of the bridge still works while its grant lives", async (t) => {
  const lab = new Lab(t);
  const { id, token } = await lab.mint();
  await lab.restart();
  assert.equal(lab.grants.authenticate(token).id, id);
});

test("a token of another installation is refused", async (t) => {
  const { token } = await new Lab(t).mint();
  assert.throws(() => new Lab(t).grants.authenticate(token), withCode("TOKEN_INVALID"));
});

test("what the policy refuses is GRANT_TOO_WIDE with its rule and hint", async (t) => {
  const lab = new Lab(t);
  lab.grants.rejudge(allowing("b", () => true));
  await assert.rejects(lab.grants.mint(base, OPERATOR), (error: unknown) => {
    assert.equal((error as { rule: string }).rule, "policy.grants");
    assert.equal((error as { hint: string }).hint, "doorward policy show");
    return withCode("GRANT_TOO_WIDE")(error);
  });
  assert.deepEqual(lab.grants.list({ includeEnded: true }), []);
  assert.deepEqual(lab.evidence.records, []);
});

test("a grant on a door that the machine does not offer is refused", async (t) => {
  const lab = new Lab(t);
  const machine = { ...MACHINE, doors: [] };
  await assert.rejects(lab.grants.mint({ ...base, machine }, OPERATOR), withCode("DOOR_NOT_OFFERED"));
  const doors = ["browser"] as never;
  await assert.rejects(lab.grants.mint({ ...base, doors }, OPERATOR), withCode("DOOR_NOT_OFFERED"));
});

test("an operation without its door is refused", async (t) => {
  const lab = new Lab(t);
  const machine = { ...MACHINE, doors: ["terminal", "editor"] as never };
  const request = { ...base, machine, doors: ["editor"] as never };
  await assert.rejects(
    lab.grants.mint(request, OPERATOR),
    withCode("INPUT_INVALID", /needs door "terminal"/),
  );
});

test("paths narrower than the repos are refused together with operations that run code", async (t) => {
  const lab = new Lab(t);
  for (const paths of [["/srv/repos/app"], ["/srv/repos/app/src", "/srv/repos/lib"], []]) {
    await assert.rejects(lab.grants.mint({ ...base, paths }, OPERATOR), withCode("GRANT_UNENFORCEABLE"));
  }
  const operations = ["terminal.observe"] as const;
  const minted = await lab.grants.mint({ ...base, operations, paths: ["/srv/repos/app/src"] }, OPERATOR);
  assert.deepEqual(minted.grant.repoPaths, ["/srv/repos/app/src"]);
});

test("paths outside the machine's repos are refused", async (t) => {
  const lab = new Lab(t);
  for (const path of ["/etc", "/srv/repos", "/srv/repos/app2", "/", "/srv/repos/application"]) {
    await assert.rejects(
      lab.grants.mint({ ...base, paths: [path] }, OPERATOR),
      withCode("GRANT_TOO_WIDE"),
      path,
    );
  }
});

test("paths that are not plain are refused before they are compared", async (t) => {
  const lab = new Lab(t);
  const root = "/srv/repos/app";
  const odd = [
    `${root}/../lib`,
    `${root}/..`,
    `${root}/`,
    `${root}//src`,
    `${root}/./src`,
    "srv/repos/app",
    `${root}/\n`,
    "",
  ];
  for (const path of odd) {
    await assert.rejects(
      lab.grants.mint({ ...base, paths: [path] }, OPERATOR),
      withCode("PATH_INVALID"),
      path,
    );
  }
});

test("times and subjects of no sense are refused", async (t) => {
  const lab = new Lab(t);
  for (const seconds of [0, -1, 1.5, Number.NaN, Infinity, 1e12]) {
    await assert.rejects(
      lab.grants.mint({ ...base, seconds }, OPERATOR),
      withCode("INPUT_INVALID"),
      String(seconds),
    );
  }
  await assert.rejects(
    lab.grants.mint({ ...base, subject: "root" }, OPERATOR),
    withCode("INPUT_INVALID", /subject/),
  );
  await assert.rejects(lab.grants.mint({ ...base, operations: [] }, OPERATOR), withCode("INPUT_INVALID"));
});

test("a grant whose record can't be written does not exist", async (t) => {
  const lab = new Lab(t);
  lab.evidence.failing = true;
  await assert.rejects(lab.mint(), withCode("EVIDENCE_UNWRITABLE", /disk full/));
  assert.deepEqual(lab.grants.list({ includeEnded: true }), []);
  await lab.restart();
  assert.deepEqual(lab.grants.list({ includeEnded: true }), []);
});

test("a grant that waits for its record can't be seen, and its record comes before its token", async (t) => {
  const lab = new Lab(t);
  const { promise, resolve } = defer();
  lab.evidence.gate = promise;
  const minting = lab.mint();
  assert.deepEqual(lab.grants.list(), []);
  resolve();
  const { id } = await minting;
  assert.equal(lab.evidence.of("minted").length, 1);
  assert.equal(lab.grants.list()[0]?.grant.grantId, id);
});

test("a machine that is removed while a grant for it is being recorded takes the grant with it", async (t) => {
  const lab = new Lab(t);
  const { promise, resolve } = defer();
  lab.evidence.gate = promise;
  const minting = lab.mint();
  lab.grants.endAllOfMachine(MACHINE.id, "the machine was removed");
  resolve();
  await assert.rejects(minting, withCode("GRANT_REVOKED", /removed/));
  await lab.grants.settled();
  assert.deepEqual(
    lab.evidence.records.map(([kind]) => kind),
    ["minted", "revoked"],
  );
  assert.deepEqual(lab.grants.list(), []);
});

test("a policy that changes while a grant is being recorded decides about it", async (t) => {
  const lab = new Lab(t);
  const { promise, resolve } = defer();
  lab.evidence.gate = promise;
  const minting = lab.mint();
  lab.grants.rejudge(allowing("b", () => true));
  resolve();
  await assert.rejects(minting, withCode("GRANT_REVOKED", /no rule of the policy/));
});

test("a grant for another machine or another operation is refused at the check", async (t) => {
  const lab = new Lab(t);
  const { id } = await lab.mint();
  assert.throws(() => lab.grants.check(id, "terminal.input", MACHINE.id), withCode("OPERATION_NOT_GRANTED"));
  assert.throws(
    () => lab.grants.check(id, "terminal.attach", "m_zzzzzzzzzzzz"),
    withCode("MACHINE_NOT_GRANTED"),
  );
  assert.throws(
    () => lab.grants.check("g_0000000000", "terminal.attach", MACHINE.id),
    withCode("GRANT_NOT_FOUND"),
  );
});

test("an implicit grant has no token, shows in the list and ends with its connection", async (t) => {
  const lab = new Lab(t);
  const grant = lab.grants.mintImplicit({
    subject: OPERATOR,
    machine: MACHINE,
    operations: ["terminal.attach"],
  });
  lab.grants.check(grant.id, "terminal.attach", MACHINE.id);
  assert.equal(lab.grants.list()[0]?.implicit, true);
  assert.throws(() => lab.grants.authenticate(newToken(grant.id).token), withCode("TOKEN_INVALID"));
  await assert.rejects(lab.grants.narrow(grant.id, {}, OPERATOR), withCode("INPUT_INVALID"));
  await assert.rejects(lab.grants.renew(grant.id, 5, OPERATOR), withCode("INPUT_INVALID"));
  grant.end();
  grant.end();
  assert.equal(grant.signal.aborted, true);
  assert.throws(() => lab.grants.check(grant.id, "terminal.attach", MACHINE.id), withCode("GRANT_REVOKED"));
  await lab.grants.settled();
  assert.deepEqual(
    lab.evidence.of("revoked").map(({ cause }) => cause),
    ["connection-end"],
  );
});

test("an implicit grant of anybody but the operator is refused", (t) => {
  const lab = new Lab(t);
  const request = { subject: AGENT, machine: MACHINE, operations: ["terminal.attach"] } as const;
  assert.throws(() => lab.grants.mintImplicit(request), withCode("OPERATOR_ONLY"));
});

test("an implicit grant whose record can't be written is ended", async (t) => {
  const lab = new Lab(t);
  lab.evidence.failing = true;
  const grant = lab.grants.mintImplicit({
    subject: OPERATOR,
    machine: MACHINE,
    operations: ["terminal.exec"],
  });
  await lab.grants.settled();
  assert.throws(
    () => lab.grants.check(grant.id, "terminal.exec", MACHINE.id),
    withCode("GRANT_REVOKED", /record/),
  );
});

test("an implicit grant is in no store: it is gone with the bridge", async (t) => {
  const lab = new Lab(t);
  const { id } = lab.grants.mintImplicit({
    subject: OPERATOR,
    machine: MACHINE,
    operations: ["terminal.exec"],
  });
  lab.grants.flush();
  await lab.restart();
  assert.throws(() => lab.grants.get(id), withCode("GRANT_NOT_FOUND"));
});

test("every emitted document passes the contract's schema", async (t) => {
  const lab = new Lab(t);
  await lab.mint();
  for (const { grant } of lab.grants.list()) HostInterfaceGrant.parse(grant);
});

function defer(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
