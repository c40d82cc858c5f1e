import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import * as z from "zod";
import {
  AgentMachineFingerprint,
  EVIDENCE_PREDICATES,
  EvidenceEnvelope,
  EvidenceStatement,
  evidenceTypeOf,
  isEvidenceType,
  predicateTypeOf,
  type EvidenceInput,
} from "@doorward/contracts";
import { escapeControls, openEvidenceKey, summarize, type EvidenceLog } from "../src/evidence/index.ts";
import { common, openLog, temporary } from "../../../test/evidence/support.ts";

const machine = common.machine;
const scope = {
  grantee: "agent:codex:42",
  doors: ["terminal"],
  operations: ["terminal.attach", "terminal.input"],
  paths: ["/srv/repo"],
  expiresAt: "2030-01-01T00:00:00.000Z",
};
const session = { ...common, machine, session: "s_aaaaaaaaaa", door: "terminal" } as const;
const sha = `sha256:${"a".repeat(64)}`;
const keyOf = (char: string) => ({ keyId: char.repeat(64), publicKey: `${"A".repeat(42)}A=` });

/** The published example, so that this test follows its schema. */
function fingerprint(): AgentMachineFingerprint {
  const path = new URL(
    "../../contracts/examples/AgentMachineFingerprint/valid/linux-idmapped.json",
    import.meta.url,
  );
  return AgentMachineFingerprint.parse(JSON.parse(readFileSync(path, "utf8")));
}

/** One record of every type, and how its line reads. */
const samples: readonly (readonly [EvidenceInput, RegExp])[] = [
  [
    {
      type: "launch",
      ...common,
      machine,
      trigger: "up",
      expiresAt: null,
      durationMs: 1234,
      fingerprint: fingerprint(),
    },
    /^operator:tester launched demo \([0-9a-f]{12}\) in 1\.2s$/,
  ],
  [
    {
      type: "machine-end",
      ...common,
      machine,
      reason: "drift",
      exitCode: 137,
      fingerprint: sha,
      detail: "CapEff is not 0",
    },
    /^demo was killed: it is not what was intended: CapEff is not 0$/,
  ],
  [
    {
      type: "machine-extend",
      ...common,
      machine,
      previousExpiresAt: "2026-11-21T10:00:00.000Z",
      expiresAt: "2026-11-21T14:00:00.000Z",
    },
    /^operator:tester gave demo more time until 2026-11-21T14:00:00/,
  ],
  [
    {
      type: "review",
      ...common,
      machine,
      outcome: "branch",
      base: "1".repeat(40),
      head: "2".repeat(40),
      target: "agent/fix",
      changes: { digest: sha, bytes: 9, path: null },
      files: 3,
      insertions: 40,
      deletions: 2,
    },
    /^operator:tester reviewed demo: 3 files, \+40 -2, branch agent\/fix$/,
  ],
  [
    {
      type: "session-open",
      ...session,
      operations: ["terminal.attach"],
      execution: "agent",
      via: "tcp",
      origin: null,
      resumes: "s_bbbbbbbbbb",
    },
    /^operator:tester opened terminal of demo as agent again$/,
  ],
  [
    {
      type: "session-close",
      ...session,
      reason: "GRANT_REVOKED",
      durationMs: 120_000,
      bytesIn: 1,
      bytesOut: 2,
      exitCode: null,
      transcript: null,
    },
    /^operator:tester left terminal of demo after 2m \(GRANT_REVOKED\)$/,
  ],
  [
    {
      type: "command",
      ...common,
      machine,
      session: null,
      program: "npm",
      argvDigest: sha,
      argumentCount: 2,
      cwd: null,
      execution: "agent",
      outcome: "exited",
      exitCode: 1,
      signal: null,
      durationMs: 500,
      stdoutBytes: 3,
      stderrBytes: 4,
      detail: null,
    },
    /^operator:tester ran npm in demo: exit 1 after 0\.5s$/,
  ],
  [
    {
      type: "terminal",
      ...common,
      machine,
      session: "s_aaaaaaaaaa",
      execution: "agent",
      event: "created",
      terminal: "t1",
      program: "vim",
      argvDigest: sha,
      exitCode: null,
      signal: null,
    },
    /^operator:tester .*terminal t1 of demo running vim$/,
  ],
  [
    { type: "grant-minted", ...common, ...scope, implicit: false },
    /^operator:tester granted agent:codex:42 terminal\.attach, terminal\.input until 2030/,
  ],
  [
    { type: "grant-narrowed", ...common, ...scope, parent: "g_parent0000" },
    /passed .* on to agent:codex:42 until .* \(g_aaaaaaaaaa of g_parent0000\)$/,
  ],
  [
    {
      type: "grant-renewed",
      ...common,
      previousExpiresAt: "2029-01-01T00:00:00.000Z",
      expiresAt: scope.expiresAt,
    },
    /^operator:tester renewed g_aaaaaaaaaa until 2030/,
  ],
  [
    { type: "grant-revoked", ...common, reason: "left the team", cause: "command", sessionsCut: 2 },
    /revoked g_aaaaaaaaaa, 2 sessions cut: left the team$/,
  ],
  [{ type: "grant-expired", ...common, sessionsCut: 0 }, /^g_aaaaaaaaaa expired, 0 sessions cut$/],
  [
    {
      type: "denial",
      ...common,
      machine: null,
      grant: null,
      attempted: "machine.launch",
      code: "PATH_DENIED",
      rule: "policy.paths.deny[ssh]",
      door: null,
      operation: null,
      target: "/home/a/.ssh",
    },
    /^operator:tester was refused machine\.launch on \/home\/a\/\.ssh: PATH_DENIED by policy\.paths\.deny\[ssh\]$/,
  ],
  [
    {
      type: "denials",
      ...common,
      machine: null,
      grant: null,
      from: "2026-01-01T00:00:00.000Z",
      to: "2026-01-01T00:01:00.000Z",
      total: 7,
      counts: [{ code: "TOKEN_INVALID", door: null, count: 7 }],
    },
    /^7 callers without a valid token were refused$/,
  ],
  [
    {
      type: "approval",
      ...common,
      approval: "a_aaaaaaaaaa",
      operation: "terminal.exec",
      requestedBy: "agent:codex:42",
      requestedAt: "2026-11-21T10:00:00.000Z",
      request: sha,
      shape: null,
      decision: "denied",
      expiresAt: null,
      where: "command",
      reason: null,
    },
    /^operator:tester denied terminal\.exec for agent:codex:42$/,
  ],
  [
    {
      type: "tool-call",
      ...common,
      machine,
      subject: "agent:codex:42",
      session: "s_aaaaaaaaaa",
      door: "agent-tool",
      client: "codex",
      transport: "http",
      execution: "agent",
      tool: "run_command",
      registryGrant: null,
      effect: "runs",
      arguments: sha,
      program: "npm",
      target: null,
      outcome: "completed",
      code: null,
      result: sha,
      resultBytes: 2048,
      exitCode: 0,
      durationMs: 3200,
      approval: "a_aaaaaaaaaa",
    },
    /^agent:codex:42 called run_command npm in demo \(exit 0\) in 3\.2s \(a_aaaaaaaaaa\)$/,
  ],
  [
    {
      type: "host-action",
      ...common,
      subject: "plugin:release-notes",
      event: "ended",
      action: "system.process.exec",
      via: "plugin",
      plugin: { id: "release-notes", version: "1.2.0", digest: sha },
      capabilities: ["system.process.exec", "system.process.scope.git"],
      scope: "git",
      scopeVersion: sha,
      dryRun: false,
      reason: "list tags",
      request: sha,
      plan: sha,
      decision: "allowed",
      confirmation: "approved",
      approval: "a_aaaaaaaaaa",
      outcome: "succeeded",
      code: null,
      violation: null,
      program: "git",
      arguments: sha,
      argumentCount: 2,
      cwd: "/srv/repo",
      target: null,
      operationCount: 1,
      before: null,
      after: null,
      bytes: 0,
      result: sha,
      exitCode: 0,
      stdoutBytes: 10,
      stderrBytes: 0,
      durationMs: 40,
      workflow: null,
    },
    /^plugin:release-notes: ran git on the host in scope git, succeeded \(exit 0\) after 0\.0s, approved \(a_aaaaaaaaaa\)$/,
  ],
  [
    {
      type: "plugin-lifecycle",
      ...common,
      machine: null,
      grant: null,
      plugin: { id: "release-notes", version: "1.2.0", digest: sha },
      publisher: "example",
      capabilities: ["http:egress"],
      from: "installed",
      to: "active",
      runtime: "armed",
      cause: "command",
      outcome: "done",
      code: null,
      detail: null,
    },
    /^plugin release-notes 1\.2\.0 went from installed to active by command of operator:tester$/,
  ],
  [
    {
      type: "plugin-host-call",
      ...common,
      machine: null,
      subject: "plugin:release-notes",
      plugin: { id: "release-notes", version: "1.2.0", digest: sha },
      call: "http.do",
      capability: "http:egress",
      scope: "api.example.com",
      arguments: sha,
      decision: "denied",
      code: "POLICY_DENIED",
      result: null,
      resultBytes: 0,
      durationMs: 1,
      approval: null,
    },
    /^plugin release-notes called http\.do on api\.example\.com, which was denied: POLICY_DENIED$/,
  ],
  [
    {
      type: "egress",
      ...common,
      machine,
      host: "registry.npmjs.org",
      port: 443,
      address: "203.0.113.7",
      decision: "allowed",
      rule: "policy.profiles.default.egress.allow[0]",
      code: null,
      connections: 2,
      sent: 10,
      received: 20,
      secrets: [],
      requests: [],
      from: "2026-11-21T10:00:00.000Z",
      to: "2026-11-21T10:01:00.000Z",
    },
    /^demo reached registry\.npmjs\.org:443 at 203\.0\.113\.7, /,
  ],
  [
    {
      type: "egress-change",
      ...common,
      machine,
      change: "allowed",
      host: "registry.npmjs.org",
      ports: [443],
      expiresAt: null,
      connectionsCut: 0,
    },
    /^operator:tester allowed registry\.npmjs\.org:443 for demo, 0 connections cut$/,
  ],
  [
    {
      type: "policy-change",
      ...common,
      machine: null,
      grant: null,
      previous: null,
      next: sha,
      source: "file",
      machinesCut: 1,
      grantsCut: 2,
    },
    /put policy aaaaaaaaaaaa in force \(file\); 1 machines and 2 grants cut$/,
  ],
  [
    {
      type: "bridge-start",
      ...common,
      machine: null,
      grant: null,
      version: "0.1.0",
      previous: "crashed",
      machinesAdopted: 2,
      machinesReaped: 1,
      grade: "reduced",
    },
    /^bridge 0\.1\.0 started after a crash; 2 machines adopted, 1 reaped$/,
  ],
  [
    { type: "bridge-stop", ...common, machine: null, grant: null, reason: "signal", machinesRunning: 3 },
    /^bridge stopped \(signal\); 3 machines go on$/,
  ],
  [
    {
      type: "key-rotation",
      ...common,
      machine: null,
      grant: null,
      previousKey: keyOf("1"),
      nextKey: keyOf("2"),
      reason: null,
    },
    /^operator:tester exchanged the signing key [0-9a-f]{12} for [0-9a-f]{12}$/,
  ],
];

void test("there is a sample of every record type", () => {
  assert.deepEqual(samples.map(([{ type }]) => type).sort(), Object.keys(EVIDENCE_PREDICATES).sort());
});

/** Key rotations have a way of their own, as both keys sign them. */
async function append(log: EvidenceLog, input: EvidenceInput, dir: string) {
  if (input.type !== "key-rotation") return log.append(input);
  return log.rotate(await openEvidenceKey(join(dir, "next.pem")), input, input.reason);
}

void test("a key rotation that only one key would sign is refused", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const [input] = samples.find(([{ type }]) => type === "key-rotation") ?? [];
  assert.ok(input !== undefined);
  await assert.rejects(log.append(input), { code: "INPUT_INVALID" });
});

const ajv = new Ajv2020({ strict: false });
formats.default(ajv);
const judge = ajv.compile(z.toJSONSchema(EvidenceStatement));

void test("every record is a statement that zod and Ajv accept, fits a leaf, and reads like a story", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  for (const [input, line] of samples) {
    const { index } = await append(log, input, folder.path);
    const { statement, type, envelope } = await log.read(index);
    assert.equal(type, input.type);
    assert.ok(judge(statement), `${type}: ${JSON.stringify(judge.errors)}`);
    assert.match(summarize(statement), line);
    assert.deepEqual(EvidenceEnvelope.safeParse(JSON.parse(envelope)).success, true);
  }
});

void test("zod and Ajv refuse the same statements: a field too many, one too few, another type, another version", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  for (const [input] of samples) {
    const { index } = await append(log, input, folder.path);
    const { statement } = await log.read(index);
    const { policyHash: _, ...short } = statement.predicate;
    for (const wrong of [
      { ...statement, extra: 1 },
      { ...statement, predicate: { ...statement.predicate, output: "secret" } },
      { ...statement, predicate: short },
      { ...statement, subject: [] },
      { ...statement, _type: "https://in-toto.io/Statement/v0.1" },
      { ...statement, predicateType: statement.predicateType.replace("/v1", "/v2") },
      { ...statement, predicate: { ...statement.predicate, correlationId: "a b" } },
    ]) {
      assert.equal(EvidenceStatement.safeParse(wrong).success, false);
      assert.equal(judge(wrong), false);
    }
  }
});

void test("every property of every record schema has a description", () => {
  for (const [type, schema] of Object.entries(EVIDENCE_PREDICATES)) {
    for (const [name, field] of Object.entries(schema.shape)) {
      assert.ok(z.toJSONSchema(field).description, `${type}.${name}`);
    }
  }
});

void test("predicate types name their record type, and foreign ones none", () => {
  assert.equal(predicateTypeOf("launch"), "https://doorward.dev/evidence/launch/v1");
  assert.equal(evidenceTypeOf("https://doorward.dev/evidence/machine-end/v1"), "machine-end");
  for (const foreign of [
    "https://doorward.dev/evidence/launch/v2",
    "https://example.com/evidence/launch/v1",
    "https://doorward.dev/evidence/toString/v1",
    "",
  ]) {
    assert.equal(evidenceTypeOf(foreign), null);
  }
  assert.equal(isEvidenceType("constructor"), false);
});

void test("control characters and invisible direction marks are shown as escapes", () => {
  assert.equal(
    escapeControls("a\u001b[31mb\nc\u202ed\u2028e\u0000\u009b"),
    "a\\u001b[31mb\\u000ac\\u202ed\\u2028e\\u0000\\u009b",
  );
  assert.equal(escapeControls("Grüße, 世界 🚪"), "Grüße, 世界 🚪");
});
