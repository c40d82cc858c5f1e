import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import type { EndedGrant } from "../src/grants/ports.ts";
import { Lab, MACHINE, OPERATOR } from "./grants-lab.ts";

test("an implicit grant whose record can't be written ends its session with EVIDENCE_UNWRITABLE, not as revoked", async (t) => {
  const lab = new Lab(t);
  const ended: EndedGrant[] = [];
  lab.grants.onEnded((end) => {
    ended.push(end);
    return 1;
  });
  lab.evidence.failing = true;
  const request = { subject: OPERATOR, machine: MACHINE, operations: ["terminal.exec"] as const };
  const { id } = lab.grants.mintImplicit(request);
  await lab.grants.settled();
  assert.deepEqual(
    ended.map((end) => end.id),
    [id],
  );
  const error = ended[0]?.error;
  assert.ok(error instanceof DoorwardError);
  assert.equal(error.code, "EVIDENCE_UNWRITABLE");
  assert.match(error.message, /disk full/);
  assert.throws(() => lab.grants.check(id, "terminal.exec", MACHINE.id), { code: "GRANT_REVOKED" });
});

test("a connection that closes in good order carries no error", async (t) => {
  const lab = new Lab(t);
  const ended: EndedGrant[] = [];
  lab.grants.onEnded((end) => {
    ended.push(end);
    return 0;
  });
  const request = { subject: OPERATOR, machine: MACHINE, operations: ["terminal.exec"] as const };
  lab.grants.mintImplicit(request).end();
  await lab.grants.settled();
  assert.equal(ended[0]?.error, undefined);
});

test("an implicit grant that the policy would not give any more is revoked like any other", (t) => {
  const lab = new Lab(t);
  const request = { subject: OPERATOR, machine: MACHINE, operations: ["terminal.exec"] as const };
  const { id } = lab.grants.mintImplicit(request);
  const narrower = { hash: `sha256:${"c".repeat(64)}`, decideGrant: () => assert.fail("not offered") };
  assert.deepEqual(lab.grants.rejudge(narrower).revoked, [id]);
});
