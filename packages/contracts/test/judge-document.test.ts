import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BROWSER_PERMISSION_SCOPES,
  CONTRACT_OPERATIONS,
  DEFAULT_TERMINAL_DOOR,
  HostInterfaceGrant,
  HostPath,
  OPERATIONS,
  PolicyProfile,
  SecureHostInterfaceProfile,
  TerminalDoorSpec,
  judgeDocument,
  typeOfDocument,
} from "../src/index.ts";
import { acceptances } from "../scripts/vectors.ts";

function example(type: string): Record<string, unknown> {
  return { ...(acceptances(type)[0]?.document as Record<string, unknown>) };
}

test("a document is judged by the contract it names in type or kind", () => {
  assert.equal(typeOfDocument(example("BrowserDoor")), "BrowserDoor");
  assert.equal(typeOfDocument(example("AgentMachineMountEvidence")), "AgentMachineMountEvidence");
  assert.equal(judgeDocument(example("EditorDoor")).valid, true);
});

for (const value of [
  null,
  7,
  "TerminalDoor",
  [],
  {},
  { type: "constructor" },
  { type: "TokenDoor" },
  { type: 7 },
]) {
  test(`${JSON.stringify(value)} names no contract and is refused`, () => {
    const { type, valid, problems } = judgeDocument(value);
    assert.deepEqual(
      { type, valid, at: problems.map(({ path }) => path) },
      { type: null, valid: false, at: ["/type"] },
    );
  });
}

test("a type that is asked for wins over the one that is named", () => {
  const { type, valid } = judgeDocument(example("BrowserDoor"), "EditorDoor");
  assert.deepEqual({ type, valid }, { type: "EditorDoor", valid: false });
});

test("problems name the place as a JSON Pointer, with unknown fields among them", () => {
  const document = { ...example("AgentToolDoor"), "a/b": 1, hostMutationPolicy: "all" };
  const places = judgeDocument(document).problems.map(({ path }) => path);
  assert.deepEqual(places.sort(), ["/a~1b", "/hostMutationPolicy"]);
});

for (const urn of [
  "urn:srcos:secure-host-interface:macos-default",
  "urn:srcos:secure-host-interface-profile:default.terminal",
]) {
  test(`the URN ${urn} is accepted`, () => {
    assert.equal(SecureHostInterfaceProfile.shape.id.safeParse(urn).success, true);
  });
}

for (const urn of [
  "urn:srcos:agent-machine-workspace:m2-demo",
  "urn:srcos:agent-machine-workspace:local-default",
  "urn:srcos:workspace:demo",
]) {
  test(`the workspace ${urn} is accepted`, () => {
    assert.equal(HostInterfaceGrant.shape.workspaceRef.safeParse(urn).success, true);
  });
}

test("the contract knows every operation that is served, and every browser permission of the estate", () => {
  const known = new Set<string>(CONTRACT_OPERATIONS);
  assert.equal(known.size, CONTRACT_OPERATIONS.length);
  for (const operation of OPERATIONS) assert.ok(known.has(operation), operation);
  for (const scope of BROWSER_PERMISSION_SCOPES) assert.ok(known.has(`browser.${scope}`), scope);
});

for (const path of [
  "/",
  "/home/user/dev/app",
  "/home/user/dev/.config",
  "/home/user/a..b/...",
  "/srv/with space/and:colon",
  "/srv/ends. ",
  "C:\\",
  "C:\\Users\\agent\\dev\\my app",
  "d:/dev/app.js",
]) {
  test(`the host path ${JSON.stringify(path)} is accepted`, () => {
    assert.equal(HostPath.safeParse(path).success, true);
  });
}

for (const path of [
  "",
  "dev/app",
  "~/dev",
  "/home/user/..",
  "/home/./user",
  "/../etc",
  "/home/user\n",
  "/home/user\u0000",
  "C:",
  "C:dev",
  "C:\\dev\\..\\secret",
  "C:\\dev\\.",
  "C:/dev/../secret",
  "C:\\dev.",
  "C:\\dev \\app",
  "C:\\dev:stream",
  "C:\\dev\\*",
  'C:\\dev\\"quoted"',
  "C:\\dev|pipe",
  "\\\\server\\share",
  "\\\\?\\C:\\dev",
  "\\\\.\\pipe\\podman",
  "CC:\\dev",
]) {
  test(`the host path ${JSON.stringify(path)} is refused`, () => {
    assert.equal(HostPath.safeParse(path).success, false);
  });
}

test("a long hostile path is judged in linear time", () => {
  for (const path of [`/${"./".repeat(2000)}`, `C:\\${". ".repeat(2000)}`, `/${"a/".repeat(2000)}..`]) {
    assert.equal(HostPath.safeParse(path).success, false);
  }
});

test("a terminal door that an earlier build stored is read with the defaults of what is new", () => {
  const earlier = {
    attach: { allowed: true, maxTerminals: 32, maxViewers: 16, observers: true, scrollbackBytes: 2_097_152 },
    execution: { operator: true, agent: true, maxConcurrent: 256 },
    transcript: { capture: "off", format: "asciicast-v3", maxBytes: 67_108_864 },
    redaction: { mode: "required-before-capture" },
  };
  assert.deepEqual(TerminalDoorSpec.parse(earlier), DEFAULT_TERMINAL_DOOR);
});

test("transcripts are off, redaction is on and others may only watch unless a profile says otherwise", () => {
  assert.equal(DEFAULT_TERMINAL_DOOR.transcript.capture, "off");
  assert.equal(DEFAULT_TERMINAL_DOOR.redaction.builtIn, "on");
  assert.equal(DEFAULT_TERMINAL_DOOR.attach.agents, "observe");
});

test("what a policy leaves out of a terminal door stays out, for the default profile to fill", () => {
  const { doors } = PolicyProfile.parse({ doors: { terminal: {} } });
  assert.deepEqual(doors?.terminal, {});
});
