import assert from "node:assert/strict";
import { copyFile, cp, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { EvidenceInput } from "@doorward/contracts";
import {
  createEvidenceKey,
  EvidenceLog,
  openEvidence,
  openEvidenceKey,
  rotateEvidenceKey,
  verifyEvidence,
} from "../src/evidence/index.ts";
import { openEnvelope } from "../src/evidence/dsse.ts";
import {
  appendMany,
  common,
  keyOf,
  openLog,
  ORIGIN,
  record,
  silent,
  temporary,
} from "../../../test/evidence/support.ts";

const invalid = { code: "EVIDENCE_INVALID" };

void test("a record comes back as it was appended, by index and by id, also after a restart", async () => {
  await using folder = await temporary();
  const first = await openLog(folder.path);
  const appended = await first.append(record(41));
  assert.equal(appended.index, 0);
  assert.match(appended.recordId, /^e_0_[a-z2-7]{8}$/);
  await first[Symbol.asyncDispose]();
  await using log = await openLog(folder.path);
  const entry = await log.read(appended.recordId);
  assert.equal(entry.leafHash, appended.leafHash);
  assert.equal(entry.type, "session-close");
  assert.deepEqual(entry, await log.read(0));
  const { recordId, at, ...rest } = entry.statement.predicate;
  assert.equal(recordId, appended.recordId);
  assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
  const { type: _type, ...expected } = record(41);
  assert.deepEqual(rest, expected);
});

void test("1,000 appends at once get 1,000 places, in the order of the calls, and times that never go back", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const appended = await Promise.all(Array.from({ length: 1000 }, (_, n) => log.append(record(n))));
  assert.deepEqual(
    appended.map(({ index }) => index),
    Array.from({ length: 1000 }, (_, n) => n),
  );
  const { entries } = await log.list({ limit: 1000 });
  assert.deepEqual(
    entries.map(({ index }) => index),
    Array.from({ length: 1000 }, (_, n) => 999 - n),
  );
  assert.equal(new Set(entries.map(({ recordId }) => recordId)).size, 1000);
});

const wrong: readonly (readonly [string, EvidenceInput])[] = [
  ["an unknown field", { ...record(1), secret: "x" } as unknown as EvidenceInput],
  ["a subject of no kind", { ...record(1), subject: "root" }],
  ["a grant of another form", { ...record(1), grant: "7" }],
  ["a negative count", { ...record(1), durationMs: -1 } as EvidenceInput],
  ["a missing field", { type: "denials", ...common } as unknown as EvidenceInput],
  [
    "an artefact without digest",
    { ...record(1), artifacts: [{ name: "x", digest: {} }] } as unknown as EvidenceInput,
  ],
];
for (const [why, input] of wrong) {
  void test(`a record with ${why} is refused with INPUT_INVALID and takes no place`, async () => {
    await using folder = await temporary();
    await using log = await openLog(folder.path);
    await assert.rejects(log.append(input), { code: "INPUT_INVALID" });
    assert.equal(log.size, 0);
    assert.equal((await log.append(record(1))).index, 0);
  });
}

void test("a record whose envelope would pass 64 KiB is refused with INPUT_TOO_LARGE, the biggest below it is kept", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const paths = (count: number) =>
    Array.from({ length: count }, (_, n) => `/${String(n).padStart(3, "0")}${"p".repeat(996)}`);
  const minted = (count: number): EvidenceInput => ({
    type: "grant-minted",
    ...common,
    grantee: "agent:codex:1",
    doors: ["terminal"],
    operations: ["terminal.attach"],
    paths: paths(count),
    expiresAt: "2030-01-01T00:00:00.000Z",
    implicit: false,
  });
  await assert.rejects(log.append(minted(48)), { code: "INPUT_TOO_LARGE" });
  await log.append(minted(46));
  assert.equal(log.size, 1);
  assert.ok((await log.read(0)).envelope.length < 65_536);
});

void test("listing filters by type, machine, grant and subject, and pages through everything once", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path, 100_000);
  await appendMany(log, 0, 900);
  await log.append({
    type: "grant-expired",
    ...common,
    grant: "g_rare000000",
    machine: null,
    sessionsCut: 0,
  });
  await appendMany(log, 900, 1300);
  const rare = await log.list({ limit: 10, grant: "g_rare000000" });
  assert.deepEqual(
    rare.entries.map(({ index, type }) => [index, type]),
    [[900, "grant-expired"]],
  );
  assert.equal((await log.list({ limit: 10, type: "launch" })).entries.length, 0);
  assert.equal((await log.list({ limit: 10, subject: "operator:nobody" })).entries.length, 0);
  assert.equal((await log.list({ limit: 1000, machine: "demo-3" })).entries.length, 186);
  const seen: number[] = [];
  for (let before: number | null | undefined; before !== null;) {
    const page: Awaited<ReturnType<typeof log.list>> = await log.list({
      limit: 97,
      before: before ?? undefined,
      grant: "g_grant000007",
    });
    seen.push(...page.entries.map(({ index }) => index));
    before = page.next;
  }
  assert.equal(seen.length, 26);
  assert.deepEqual(
    seen,
    [...new Set(seen)].sort((a, b) => b - a),
  );
  assert.deepEqual(
    (await log.list({ limit: 10, after: 1297 })).entries.map(({ index }) => index),
    [1300, 1299, 1298],
  );
  for (const limit of [0, -1, 1.5, 1001, Number.NaN])
    await assert.rejects(log.list({ limit }), { code: "INPUT_INVALID" });
});

void test("what is not in the log is refused with EVIDENCE_NOT_FOUND", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  await log.append(record(1));
  for (const which of [1, -1, 0.5, Number.NaN, "e_0_aaaaaaaa", "e_9_aaaaaaaa", "nonsense", ""]) {
    await assert.rejects(log.read(which), { code: "EVIDENCE_NOT_FOUND" });
  }
});

void test("a log that was cut and restarted often keeps every record and verifies", async () => {
  await using folder = await temporary();
  for (let round = 0; round < 6; round++) {
    await using log = await openLog(folder.path, 40_000);
    await appendMany(log, round * 301, (round + 1) * 301);
  }
  await using log = await openLog(folder.path, 40_000);
  assert.equal(log.size, 1806);
  assert.ok((await stat(join(log.dir, "journal"))).size < 6_000_000);
  for (const index of [0, 255, 256, 1000, 1805]) assert.equal((await log.read(index)).index, index);
  assert.deepEqual((await verifyEvidence({ dir: log.dir, vkey: log.vkey })).problems, []);
});

void test("a lost listing index is made again", async () => {
  await using folder = await temporary();
  const first = await openLog(folder.path, 40_000);
  await appendMany(first, 0, 1000);
  await first[Symbol.asyncDispose]();
  const path = join(folder.path, "log", "index");
  const whole = await readFile(path);
  for (const damaged of [Buffer.alloc(0), whole.subarray(0, 700), Buffer.alloc(whole.length)]) {
    await writeFile(path, damaged);
    await using log = await openLog(folder.path, 40_000);
    assert.equal((await log.list({ limit: 1000, grant: "g_grant000007" })).entries.length, 20);
  }
});

void test("a journal cut anywhere behind the checkpoint opens with the records before it, and verifies", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  await appendMany(log, 0, 3);
  await log.checkpoint();
  const checkpoint = await readFile(join(log.dir, "checkpoint"));
  const before = lastByte(await readFile(join(log.dir, "journal")));
  await log.append(record(3));
  await log[Symbol.asyncDispose]();
  const journal = await readFile(join(folder.path, "log", "journal"));
  const after = lastByte(journal);
  assert.ok(after > before);
  // every byte at both ends of the group, every 23rd between (evidence-formats has every byte of the format itself)
  for (let length = before; length < after; length += length < before + 60 || length > after - 30 ? 1 : 23) {
    await writeFile(join(folder.path, "log", "checkpoint"), checkpoint);
    const torn = Buffer.alloc(after + 5000);
    journal.copy(torn, 0, 0, length);
    await writeFile(join(folder.path, "log", "journal"), torn);
    const again = await openLog(folder.path);
    assert.equal(again.size, 3, `cut at byte ${String(length)}`);
    if (length % 10 === 0) {
      assert.equal((await again.append(record(9))).index, 3);
      await again.checkpoint();
      assert.deepEqual((await verifyEvidence({ dir: again.dir, vkey: again.vkey })).problems, []);
    }
    await again[Symbol.asyncDispose]();
  }
});

function lastByte(bytes: Buffer): number {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at--;
  return at;
}

void test("a journal that lost records its checkpoint covers is refused", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  await appendMany(log, 0, 3);
  const older = await copyAside(folder.path, log);
  await log.append(record(3));
  await log[Symbol.asyncDispose]();
  await copyFile(older, join(folder.path, "log", "journal"));
  await assert.rejects(openLog(folder.path), invalid);
});

async function copyAside(dir: string, log: EvidenceLog): Promise<string> {
  const aside = join(dir, "journal.older");
  await copyFile(join(log.dir, "journal"), aside);
  return aside;
}

void test("a journal without its checkpoint, a checkpoint without its journal, and another log's journal are refused", async () => {
  await using folder = await temporary();
  await using other = await temporary();
  const log = await openLog(folder.path, 40_000);
  await appendMany(log, 0, 300);
  await log[Symbol.asyncDispose]();
  const foreign = await openLog(other.path);
  await appendMany(foreign, 0, 5);
  await foreign[Symbol.asyncDispose]();
  const dir = join(folder.path, "log");
  await cp(dir, join(folder.path, "saved"), { recursive: true });
  for (const damage of [
    () => rm(join(dir, "checkpoint")),
    () => rm(join(dir, "journal")),
    () => writeFile(join(dir, "journal"), ""),
    () => writeFile(join(dir, "journal"), "x".repeat(5000)),
    () => copyFile(join(other.path, "log", "journal"), join(dir, "journal")),
    () => copyFile(join(other.path, "log", "checkpoint"), join(dir, "checkpoint")),
  ]) {
    await damage();
    await assert.rejects(openLog(folder.path), (error: Error & { code?: string }) =>
      /^(EVIDENCE|KEY)_INVALID$/.test(error.code ?? ""),
    );
    await rm(dir, { recursive: true });
    await cp(join(folder.path, "saved"), dir, { recursive: true });
  }
  await using again = await openLog(folder.path);
  assert.equal(again.size, 300);
});

void test("another key is refused with KEY_INVALID, another origin with EVIDENCE_INVALID", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  await log.append(record(1));
  await log[Symbol.asyncDispose]();
  const stranger = await createEvidenceKey(join(folder.path, "stranger.pem"));
  const options = { dir: join(folder.path, "log"), origin: ORIGIN, log: silent };
  await assert.rejects(EvidenceLog.open({ ...options, key: stranger }), { code: "KEY_INVALID" });
  await assert.rejects(
    EvidenceLog.open({ ...options, key: await keyOf(folder.path), origin: "doorward.local/other" }),
    invalid,
  );
});

void test("an empty log of another key is refused too", async () => {
  await using folder = await temporary();
  await (await openLog(folder.path))[Symbol.asyncDispose]();
  const stranger = await createEvidenceKey(join(folder.path, "stranger.pem"));
  await assert.rejects(
    EvidenceLog.open({ dir: join(folder.path, "log"), origin: ORIGIN, log: silent, key: stranger }),
    { code: "KEY_INVALID" },
  );
});

void test("a closed log refuses appends, and closing twice is harmless", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  const last = log.append(record(1));
  await log[Symbol.asyncDispose]();
  await log[Symbol.asyncDispose]();
  assert.equal((await last).index, 0);
  await assert.rejects(log.append(record(2)), { code: "BRIDGE_STOPPING" });
});

void test("argument digests can be compared by the same bridge only", async () => {
  await using folder = await temporary();
  await using other = await temporary();
  await using log = await openLog(folder.path);
  await using foreign = await openLog(other.path);
  assert.equal(log.argvDigest(["git", "push"]), log.argvDigest(["git", "push"]));
  assert.notEqual(log.argvDigest(["git", "push"]), log.argvDigest(["git push"]));
  assert.notEqual(log.argvDigest(["git", "push"]), foreign.argvDigest(["git", "push"]));
});

void test("a rotated key signs what follows, both keys sign the rotation, and either key verifies the whole log", async () => {
  await using folder = await temporary();
  const place = { dir: folder.path, origin: ORIGIN, log: silent };
  const log = await openEvidence(place);
  await appendMany(log, 0, 300);
  const oldVkey = log.vkey;
  const context = { subject: "operator:tester", correlationId: "c_rotate", policyHash: null } as const;
  const [rotated] = await Promise.all([
    rotateEvidenceKey(log, folder.path, context, "yearly"),
    appendMany(log, 300, 600),
  ]);
  await log[Symbol.asyncDispose]();
  await using again = await openEvidence(place);
  await again.append(record(600));
  assert.notEqual(again.vkey, oldVkey);
  const entry = await again.read(rotated.index);
  assert.equal(entry.type, "key-rotation");
  assert.equal(openEnvelope(Buffer.from(entry.envelope)).signatures.length, 2);
  await again.checkpoint();
  for (const vkey of [oldVkey, again.vkey]) {
    const report = await verifyEvidence({ dir: again.dir, vkey });
    assert.deepEqual(report.problems, []);
    assert.deepEqual(
      report.keys.map(({ from }) => from),
      [0, rotated.index + 1],
    );
    const blind = report.notChecked.join("; ");
    if (vkey === oldVkey) assert.match(blind, /whether the 1 newer key\(s\) are the operator's/);
    else assert.match(blind, new RegExp(`key\\(s\\) of the first ${String(rotated.index + 1)} records`));
  }
});

void test("rotations that are asked for at once come one after the other, and no key in force is lost", async () => {
  for (const pause of [0, 1, 2, 3, 4, 6]) {
    await using folder = await temporary();
    const place = { dir: folder.path, origin: ORIGIN, log: silent };
    const log = await openEvidence(place);
    await log.append(record(0));
    const context = { subject: "operator:tester", correlationId: "c_rotate", policyHash: null } as const;
    const first = rotateEvidenceKey(log, folder.path, context, "first");
    await delay(pause);
    const others = ["second", "third"].map((why) => rotateEvidenceKey(log, folder.path, context, why));
    const rotated = await Promise.all([first, ...others]);
    assert.deepEqual(
      rotated.map(({ index }) => index),
      [1, 2, 3],
    );
    const { vkey } = log;
    await log[Symbol.asyncDispose]();
    await using again = await openEvidence(place);
    assert.equal(again.vkey, vkey);
    assert.deepEqual((await verifyEvidence({ dir: again.dir, vkey })).problems, []);
  }
});

void test("a key in force that could not be put in its place is not dropped by the next rotation", async () => {
  await using folder = await temporary();
  const place = { dir: folder.path, origin: ORIGIN, log: silent };
  const context = { subject: "operator:tester", correlationId: "c_rotate", policyHash: null } as const;
  const log = await openEvidence(place);
  await log.rotate(await createEvidenceKey(join(folder.path, "key.next.pem")), context, null);
  const { keyId } = log;
  await mkdir(join(folder.path, "key.next.pem.tmp"));
  await assert.rejects(rotateEvidenceKey(log, folder.path, context, "no key can be made"));
  await log[Symbol.asyncDispose]();
  await using again = await openEvidence(place);
  assert.equal(again.keyId, keyId);
});

void test("a rotation that was killed between record and key file is ended at the next start", async () => {
  await using folder = await temporary();
  const place = { dir: folder.path, origin: ORIGIN, log: silent };
  const log = await openEvidence(place);
  await log.append(record(1));
  const next = await createEvidenceKey(join(folder.path, "key.next.pem"));
  await log.rotate(next, { subject: "operator:tester", correlationId: "c", policyHash: null }, null);
  await log[Symbol.asyncDispose]();
  await using again = await openEvidence(place);
  assert.equal((await openEvidenceKey(join(folder.path, "key.pem"))).keyId, next.keyId);
  await assert.rejects(stat(join(folder.path, "key.next.pem")), { code: "ENOENT" });
  assert.equal((await again.append(record(2))).index, 2);
});

void test("a next key that never came into force is dropped", async () => {
  await using folder = await temporary();
  const place = { dir: folder.path, origin: ORIGIN, log: silent };
  await (await openEvidence(place))[Symbol.asyncDispose]();
  await createEvidenceKey(join(folder.path, "key.next.pem"));
  await (await openEvidence(place))[Symbol.asyncDispose]();
  await assert.rejects(stat(join(folder.path, "key.next.pem")), { code: "ENOENT" });
});

void test("a log whose key file is gone is not given a new key", async () => {
  await using folder = await temporary();
  const place = { dir: folder.path, origin: ORIGIN, log: silent };
  const log = await openEvidence(place);
  await log.append(record(1));
  await log[Symbol.asyncDispose]();
  await rm(join(folder.path, "key.pem"));
  await assert.rejects(openEvidence(place), { code: "KEY_INVALID" });
  await assert.rejects(stat(join(folder.path, "key.pem")), { code: "ENOENT" });
});
