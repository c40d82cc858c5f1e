import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Operation, ToolName } from "@doorward/contracts";
import { AGENT, Lab, MACHINE, OPERATOR, withCode } from "./grants-lab.ts";

const DOORED = { ...MACHINE, doors: ["terminal", "agent-tool"] as const };
const ALL: readonly Operation[] = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
];

interface Wanted {
  readonly operations?: readonly Operation[];
  readonly tools?: readonly ToolName[];
  readonly paths?: readonly string[];
}

async function minted(lab: Lab, { operations = ALL, ...rest }: Wanted = {}) {
  const request = { machine: DOORED, subject: AGENT, operations, seconds: 600, ...rest };
  return (await lab.grants.mint(request, OPERATOR)).grant;
}

function refusal(t: TestContext, wanted: Wanted, ...expected: Parameters<typeof withCode>): Promise<void> {
  return assert.rejects(minted(new Lab(t), wanted), withCode(...expected));
}

test("a grant without tools names none, and neither does its record", async (t) => {
  const lab = new Lab(t);
  const grant = await minted(lab);
  assert.equal("tools" in grant, false);
  const [event] = lab.evidence.of("minted");
  assert.equal("tools" in (event?.["grant"] as object), false);
});

test("a grant names the tools that were asked for, once each", async (t) => {
  const grant = await minted(new Lab(t), {
    operations: ["agent-tool.read"],
    tools: ["read_file", "git_diff", "read_file"],
  });
  assert.deepEqual(grant.tools, ["read_file", "git_diff"]);
});

test("a tool whose operation the grant lacks is refused, and both are named", (t) =>
  refusal(
    t,
    { operations: ["agent-tool.list", "agent-tool.read"], tools: ["read_file", "run_command"] },
    "INPUT_INVALID",
    /tool "run_command" needs operation "agent-tool\.exec"/,
  ));

test("an operation that none of the tools needs is refused: it would open more than was named", (t) =>
  refusal(
    t,
    { operations: ["agent-tool.read", "agent-tool.exec"], tools: ["read_file"] },
    "INPUT_INVALID",
    /none of its tools needs operation "agent-tool\.exec"/,
  ));

test("tools without an operation of their door are refused", (t) =>
  refusal(t, { operations: ["terminal.exec"], tools: ["read_file"] }, "INPUT_INVALID", /"agent-tool\.read"/));

test("a machine without an agent-tool door grants none of its operations", async (t) => {
  const lab = new Lab(t);
  const request = { machine: MACHINE, subject: AGENT, operations: ALL, seconds: 60 };
  await assert.rejects(
    lab.grants.mint(request, OPERATOR),
    withCode("DOOR_NOT_OFFERED", /does not offer door "agent-tool"/),
  );
});

test("narrower paths together with agent-tool.exec are refused with the reason", async (t) => {
  await refusal(
    t,
    { paths: ["/srv/repos/app"] },
    "GRANT_UNENFORCEABLE",
    /operation "agent-tool\.exec" reaches "\/srv\/repos\/lib", which its paths leave out/,
  );
  await refusal(
    t,
    { operations: ["agent-tool.exec"], paths: ["/srv/repos/app/src", "/srv/repos/lib"] },
    "GRANT_UNENFORCEABLE",
    /reaches "\/srv\/repos\/app"/,
  );
});

test("narrower paths are granted where files alone are reached", async (t) => {
  const operations = ["agent-tool.list", "agent-tool.read", "agent-tool.write"] as const;
  const grant = await minted(new Lab(t), { operations, paths: ["/srv/repos/app/src"] });
  assert.deepEqual(grant.repoPaths, ["/srv/repos/app/src"]);
});

test("a child never has a tool that its parent lacks", async (t) => {
  const lab = new Lab(t);
  const operations = ["agent-tool.read", "agent-tool.exec"] as const;
  const parent = await minted(lab, { operations, tools: ["read_file", "run_command"] });
  await assert.rejects(
    lab.grants.narrow(parent.grantId, { tools: ["read_file", "git_diff"] }, AGENT),
    withCode("GRANT_TOO_WIDE", /tool "git_diff" is not within its parent/),
  );
  await assert.rejects(
    lab.grants.narrow(parent.grantId, { tools: ["stop_command"] }, AGENT),
    withCode("GRANT_TOO_WIDE", /tool "stop_command"/),
  );
  assert.equal(lab.grants.list().length, 1);
});

test("a child that says nothing of tools keeps those that its operations serve", async (t) => {
  const lab = new Lab(t);
  const operations = ["agent-tool.read", "agent-tool.exec"] as const;
  const parent = await minted(lab, { operations, tools: ["read_file", "run_command"] });
  const same = await lab.grants.narrow(parent.grantId, {}, AGENT);
  assert.deepEqual(same.grant.tools, ["read_file", "run_command"]);
  const reader = await lab.grants.narrow(parent.grantId, { operations: ["agent-tool.read"] }, AGENT);
  assert.deepEqual(reader.grant.tools, ["read_file"]);
  const [event] = lab.evidence.of("narrowed");
  assert.deepEqual((event?.["grant"] as { tools: unknown }).tools, ["read_file", "run_command"]);
});

test("a child that names tools loses the operations that none of them needs", async (t) => {
  const lab = new Lab(t);
  const parent = await minted(lab, { operations: [...ALL, "terminal.observe"] });
  const { grant } = await lab.grants.narrow(parent.grantId, { tools: ["read_file"] }, AGENT);
  assert.deepEqual(grant.operations, ["agent-tool.list", "agent-tool.read", "terminal.observe"]);
  await assert.rejects(
    lab.grants.narrow(parent.grantId, { tools: ["read_file"], operations: ["agent-tool.exec"] }, AGENT),
    withCode("INPUT_INVALID"),
  );
});

test("a child whose operations serve none of its parent's tools is refused, not given them all", async (t) => {
  const lab = new Lab(t);
  const operations = ["agent-tool.list", "agent-tool.read"] as const;
  const parent = await minted(lab, { operations, tools: ["read_file"] });
  await assert.rejects(
    lab.grants.narrow(parent.grantId, { operations: ["agent-tool.list"] }, AGENT),
    withCode("GRANT_TOO_WIDE", /none of its parent's tools, read_file/),
  );
  assert.equal(lab.grants.list().length, 1);
});

test("a renewed grant keeps its tools, and so does one that is read from the store", async (t) => {
  const lab = new Lab(t);
  const grant = await minted(lab, { operations: ["agent-tool.read"], tools: ["read_file"] });
  assert.deepEqual((await lab.grants.renew(grant.grantId, 900, OPERATOR)).grant.tools, ["read_file"]);
  await lab.restart();
  assert.deepEqual(lab.grants.get(grant.grantId).grant.tools, ["read_file"]);
});

test("the operator's own connection holds all operations that it asks for, and no list of tools", (t) => {
  const lab = new Lab(t);
  const grant = lab.grants.mintImplicit({ subject: OPERATOR, machine: DOORED, operations: ALL });
  assert.equal(grant.implicit, true);
  assert.deepEqual(grant.grant.operations, ALL);
  assert.equal("tools" in grant.grant, false);
  assert.throws(
    () => lab.grants.mintImplicit({ subject: AGENT, machine: DOORED, operations: ALL }),
    withCode("OPERATOR_ONLY"),
  );
});
