import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import type { DoorBeginning, DoorRecord } from "@doorward/doors";
import { noteBeginning, type BegunSources } from "../src/daemon/door-begun.ts";
import { createEvidenceKey, EvidenceLog, openEvidenceKey } from "../src/evidence/index.ts";
import { InFlight, recordLost } from "../src/in-flight/index.ts";
import { common, ORIGIN, silent, temporary } from "../../../test/evidence/support.ts";

const SECRET = "hunter2-hunter2";
const session: BegunSources["session"] = {
  ...common,
  subject: "agent:codex:1",
  session: "s_aaaaaaaaaa",
  door: "agent-tool",
  protocol: "http",
  operations: ["agent-tool.exec"],
  listener: "tcp",
  origin: null,
  at: "2026-11-21T10:00:00.000Z",
};
const counts = { durationMs: 12, stdinBytes: 0, stdoutBytes: 3, stderrBytes: 0 };
const callOf = {
  type: "tool-call",
  execution: "agent",
  tool: "write_file",
  effect: "changes",
  client: "codex",
  transport: "http",
  registryGrant: null,
  arguments: { path: "a", content: SECRET },
  program: null,
  target: "/workspace/demo/a",
  approval: null,
} as const;

/** Something that begins, and how it ends. */
const things: readonly (readonly [DoorBeginning, DoorRecord])[] = [
  [callOf, { ...callOf, result: SECRET, outcome: "completed", code: null, exitCode: null, durationMs: 12 }],
  [
    { type: "command", execution: "agent", argv: ["/bin/login", SECRET], cwd: "/workspace/demo" },
    {
      type: "command",
      execution: "agent",
      argv: ["/bin/login", SECRET],
      cwd: "/workspace/demo",
      ...{ outcome: "exited", exitCode: 0, signal: null, detail: null, ...counts },
    },
  ],
  [
    { type: "forward", execution: "operator", port: 3000 },
    { type: "forward", execution: "operator", port: 3000, outcome: "ended", code: null, durationMs: 1 },
  ],
];

interface Place extends AsyncDisposable {
  readonly path: string;
  readonly log: EvidenceLog;
  readonly inFlight: InFlight;
  begin(beginning: DoorBeginning, log?: BegunSources["log"]): ReturnType<typeof noteBeginning>;
  predicates(): Promise<Record<string, unknown>[]>;
}

async function place(): Promise<Place> {
  const folder = await temporary();
  const path = join(folder.path, "in-flight");
  const inFlight = new InFlight(path, silent);
  const log = await EvidenceLog.open({
    dir: join(folder.path, "log"),
    key: await openEvidenceKey(join(folder.path, "key.pem")),
    origin: ORIGIN,
    log: silent,
    placing: inFlight.placing.bind(inFlight),
  });
  return {
    path,
    log,
    inFlight,
    begin: (beginning, to = log) =>
      noteBeginning({ log: to, inFlight, session, policyHash: () => common.policyHash }, beginning),
    predicates: () =>
      Promise.all(
        Array.from({ length: log.size }, async (_, at) => ({ ...(await log.read(at)).statement.predicate })),
      ),
    [Symbol.asyncDispose]: async () => {
      await log[Symbol.asyncDispose]();
      inFlight[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

for (const [beginning, end] of things) {
  const { type } = beginning;
  test(`a ${type} that is lost and one that ends say the same of all but their end, and no secret`, async () => {
    await using at = await place();
    at.begin(beginning);
    await at.begin(beginning).record(end);
    assert.ok(!readFileSync(at.path, "utf8").includes(SECRET));
    using next = new InFlight(at.path, silent);
    assert.equal(next.left.filter(({ recordIds }) => recordIds.length === 0).length, 1);
    await recordLost({ inFlight: next, evidence: at.log, log: silent });
    const [ended = {}, lost = {}, ...more] = await at.predicates();
    assert.deepEqual(more, []);
    assert.equal(lost["outcome"], "bridge-lost");
    const differ = Object.keys({ ...ended, ...lost }).filter((key) => ended[key] !== lost[key]);
    const ends =
      /^(?:recordId|at|machine|outcome|code|exitCode|result|resultBytes|durationMs|beganAt|stdoutBytes)$/;
    assert.deepEqual(
      differ.filter((key) => !ends.test(key)),
      [],
    );
    assert.deepEqual(lost["machine"], ended["machine"]);
    for (const predicate of [ended, lost]) assert.ok(!JSON.stringify(predicate).includes(SECRET));
  });
}

test("a call that was approved meanwhile is lost under its approval", async () => {
  await using at = await place();
  at.begin(callOf).approved("a_aaaaaaaaaa");
  using next = new InFlight(at.path, silent);
  await recordLost({ inFlight: next, evidence: at.log, log: silent });
  assert.equal((await at.predicates())[0]?.["approval"], "a_aaaaaaaaaa");
});

test("one that is disposed without a record is forgotten", async () => {
  await using at = await place();
  at.begin(callOf)[Symbol.dispose]();
  assert.deepEqual(at.inFlight.left, []);
  assert.deepEqual(new InFlight(at.path, silent).left, []);
});

test("one whose record finds no room is left for the next start; disposing it changes nothing", async () => {
  await using at = await place();
  const full: BegunSources["log"] = {
    keyId: at.log.keyId,
    argvDigest: (argv) => at.log.argvDigest(argv),
    keyedDigest: (value) => at.log.keyedDigest(value),
    append: () => Promise.reject(new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message: "disk full" })),
  };
  for (const [beginning, end] of things) {
    using begun = at.begin(beginning, full);
    await assert.rejects(begun.record(end), { code: "EVIDENCE_UNWRITABLE" });
  }
  using next = new InFlight(at.path, silent);
  assert.equal(await recordLost({ inFlight: next, evidence: at.log, log: silent }), things.length);
});

test("a key that is exchanged in the middle of a call makes the digests of its record", async () => {
  await using at = await place();
  const begun = at.begin(callOf);
  const before = at.log.keyedDigest(callOf.arguments);
  await using other = await temporary();
  await at.log.rotate(await createEvidenceKey(join(other.path, "next.pem")), common, null);
  await begun.record({
    ...callOf,
    result: null,
    outcome: "failed",
    code: null,
    exitCode: null,
    durationMs: 1,
  });
  const [, record] = await at.predicates();
  assert.equal(record?.["arguments"], at.log.keyedDigest(callOf.arguments));
  assert.notEqual(record["arguments"], before);
});

test("a hundred calls at once leave nothing behind when all have ended", async () => {
  await using at = await place();
  const [beginning, end] = things[0] ?? assert.fail();
  await Promise.all(Array.from({ length: 100 }, () => at.begin(beginning).record(end)));
  assert.equal(at.log.size, 100);
  assert.deepEqual(at.inFlight.left, []);
  using next = new InFlight(at.path, silent);
  assert.equal(next.left.length, 100, "the file still names them, with the ids of their records");
  assert.equal(await recordLost({ inFlight: next, evidence: at.log, log: silent }), 0);
  assert.equal(at.log.size, 100);
});
