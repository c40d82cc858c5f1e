import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { appendMany, openLog, record, temporary } from "../../../test/evidence/support.ts";
import { encodeAddCheckpoint } from "../src/evidence/add-checkpoint.ts";
import { isConsistent } from "../src/evidence/consistency.ts";
import { consistencyHashes } from "../src/evidence/prove.ts";
import { serveWitness } from "../src/evidence/witness-server.ts";
import {
  addWitness,
  exportEvidence,
  LogFiles,
  openCheckpoint,
  parseWitnessVkey,
  seenLogs,
  verifyEvidence,
  Witness,
  type EvidenceLog,
} from "../src/evidence/index.ts";

const NAME = "witness.example/w1";

/** A log of `size` records, and a witness in a folder of its own that knows it. */
async function pair(dir: string, size: number) {
  const log = await openLog(dir);
  await appendMany(log, 0, size);
  const witness = await Witness.init(join(dir, "witness"), NAME);
  await witness.trust(log.vkey);
  return { log, witness };
}

async function request(log: EvidenceLog, from: number): Promise<string> {
  const checkpoint = await log.checkpoint();
  const hashes = await consistencyHashes(new LogFiles(log.dir), from, openCheckpoint(checkpoint).size);
  return encodeAddCheckpoint(from, hashes, checkpoint);
}

async function seen(witness: Witness): Promise<string> {
  const [log] = await seenLogs(witness.dir);
  return log?.checkpoint ?? "";
}

void test("a witness that was killed before it trusted a key is read as one that does not know that log", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 3);
  await using _ = log;
  await mkdir(join(witness.dir, "logs", "0".repeat(32)));
  const logs = await seenLogs(witness.dir);
  assert.deepEqual(
    logs.map(({ vkeys, checkpoint }) => ({ vkeys, checkpoint })),
    [{ vkeys: [log.vkey], checkpoint: null }],
  );
});

void test("a witness cosigns a log as it grows, and remembers the last checkpoint across processes", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 3);
  await using _ = log;
  for (const [from, size] of [
    [0, 3],
    [3, 300],
    [300, 300],
    [300, 513],
  ] as const) {
    await appendMany(log, log.size, size);
    const answer = await (await Witness.open(witness.dir)).addCheckpoint(await request(log, from));
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.body, /^\u2014 witness\.example\/w1 [A-Za-z0-9+/=]+\n$/);
  }
  assert.equal(openCheckpoint(await seen(witness)).size, 513);
  assert.equal((await stat(join(witness.dir, "key.pem"))).mode & 0o777, 0o600);
});

void test("a witness refuses: unknown logs, strangers' signatures, rollbacks, forks, wrong proofs, wrong bodies", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 100);
  await using _ = log;
  const old = await request(log, 0);
  await appendMany(log, 100, 200);
  const grown = await request(log, 0);
  assert.equal((await witness.addCheckpoint(grown)).status, 200);
  // an older tree, whatever it claims to start from
  assert.deepEqual(await witness.addCheckpoint(old), { status: 409, body: "200\n" });
  assert.deepEqual(await witness.addCheckpoint(old.replace("old 0\n", "old 200\n")), {
    status: 400,
    body: "the old size is above the checkpoint's\n",
  });
  await appendMany(log, 200, 300);
  const next = await request(log, 200);
  // proofs
  const [first = "", second = "", ...rest] = next.split("\n");
  assert.equal((await witness.addCheckpoint([first, ...rest].join("\n"))).status, 422);
  const flipped = `${second.startsWith("A") ? "B" : "A"}${second.slice(1)}`;
  assert.equal((await witness.addCheckpoint([first, flipped, ...rest].join("\n"))).status, 422);
  // signatures: text changed under the log's name
  assert.equal((await witness.addCheckpoint(next.replace("\n300\n", "\n301\n"))).status, 403);
  for (const wrong of [
    "",
    "old -1\n\n",
    "old 01\n\nx",
    next.slice(1),
    next.replace("\n\n", "\nnot a hash\n\n"),
  ])
    assert.equal((await witness.addCheckpoint(wrong)).status, 400, wrong.slice(0, 40));
  const stranger = await Witness.init(join(folder.path, "stranger"), "witness.example/w2");
  assert.equal((await stranger.addCheckpoint(next)).status, 404);
  assert.equal((await witness.addCheckpoint(next)).status, 200);
});

void test("a fork that the log's own key signed is refused, and the witness's checkpoint shows it", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 50);
  assert.equal((await witness.addCheckpoint(await request(log, 0))).status, 200);
  await log[Symbol.asyncDispose]();
  // a second history, from the same key: the folder as it was before its first record
  await rm(join(folder.path, "log"), { recursive: true });
  await using other = await openLog(folder.path);
  for (let n = 0; n < 80; n++) await other.append(record(1000 + n));
  const answer = await witness.addCheckpoint(await request(other, 50));
  assert.equal(answer.status, 422);
  const report = await verifyEvidence({
    dir: other.dir,
    vkey: other.vkey,
    witnesses: [{ vkey: witness.vkey, seen: await seen(witness) }],
  });
  assert.match(report.problems.map(({ reason }) => reason).join("; "), /Fork: the first 50 records/);
});

void test("of 40 requests at once from two processes' views, every answer is part of one history", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 1);
  await using _ = log;
  const second = await Witness.open(witness.dir);
  const requests: string[] = [];
  for (let n = 0; n < 20; n++) {
    await log.append(record(n));
    requests.push(await request(log, 0));
  }
  const answers = await Promise.all(
    requests.flatMap((body) => [witness.addCheckpoint(body), second.addCheckpoint(body)]),
  );
  // all start from nothing: one of them is first, and whoever comes later must have the same tree
  const sizes = new Set(
    answers.flatMap(({ status }, at) =>
      status === 200
        ? [openCheckpoint((requests[at >> 1] ?? "").split("\n\n").slice(1).join("\n\n")).size]
        : [],
    ),
  );
  assert.equal(sizes.size, 1);
  assert.ok(answers.every(({ status }) => status === 200 || status === 409));
  const [state = ""] = await readdir(join(witness.dir, "logs"));
  const files = await readdir(join(witness.dir, "logs", state));
  assert.deepEqual(files.sort(), ["1", "checkpoint", "log.vkey"]);
});

void test("a log has its checkpoints cosigned by a folder; truncation of the newest records is found by the witness", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 300);
  await addWitness(folder.path, { vkey: witness.vkey, folder: witness.dir });
  await log.checkpoint();
  const before = await exportEvidence({ dir: log.dir, out: join(folder.path, "before") });
  const [state] = await log.witness();
  assert.deepEqual([state?.name, state?.size, state?.problem], [NAME, 300, null]);
  await appendMany(log, 300, 310);
  await log.witness();
  const { out, vkey } = await exportEvidence({ dir: log.dir, out: join(folder.path, "export") });
  await log[Symbol.asyncDispose]();
  const witnesses = [{ vkey: witness.vkey, seen: await seen(witness) }];
  const good = await verifyEvidence({ dir: out, vkey, witnesses });
  assert.deepEqual(good.problems, []);
  assert.match(
    good.checked.join("; "),
    /last checkpoint that witness "witness\.example\/w1" saw.* over 310 records/,
  );
  // 10 records less, perfectly signed: the copy that was made before
  const cut = await verifyEvidence({ dir: before.out, vkey, witnesses });
  assert.match(
    cut.problems.map(({ reason }) => reason).join("; "),
    /Rollback or truncation.*310 records, and the log ends at 300/,
  );
  // without the witness's own folder it says what it could not see
  const blind = await verifyEvidence({ dir: out, vkey, witnesses: [{ vkey: witness.vkey }] });
  assert.equal(blind.ok, true);
  assert.match(blind.notChecked.join("; "), /whether witness .* has seen more/);
});

void test("a witness that was asked for and did not cosign is a problem, and so is a changed cosignature", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 10);
  await addWitness(folder.path, { vkey: witness.vkey, folder: witness.dir });
  await log.witness();
  const { out, vkey } = await exportEvidence({ dir: log.dir, out: join(folder.path, "export") });
  await log[Symbol.asyncDispose]();
  const stranger = await Witness.init(join(folder.path, "stranger"), NAME);
  const asked = await verifyEvidence({ dir: out, vkey, witnesses: [{ vkey: stranger.vkey }] });
  assert.match(asked.problems[0]?.reason ?? "", /no cosignature of witness/);
  const path = join(out, "checkpoint");
  const text = await readFile(path, "utf8");
  await writeFile(path, `${text.slice(0, -8)}${text.at(-8) === "A" ? "B" : "A"}${text.slice(-7)}`);
  assert.equal((await verifyEvidence({ dir: out, vkey, witnesses: [{ vkey: witness.vkey }] })).ok, false);
});

void test("a witness that fails holds up no record, shows why, and is asked again", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const witness = await Witness.init(join(folder.path, "witness"), NAME);
  await addWitness(folder.path, { vkey: witness.vkey, folder: witness.dir });
  await appendMany(log, 0, 20);
  assert.match((await log.witness())[0]?.problem ?? "", /does not know this log/);
  await appendMany(log, 20, 40);
  await witness.trust(log.vkey);
  assert.equal((await log.witness())[0]?.problem, null);
  await rm(witness.dir, { recursive: true });
  await appendMany(log, 40, 60);
  assert.notEqual((await log.witness())[0]?.problem, null);
  assert.equal(log.size, 60);
});

void test("over HTTP a witness speaks tlog-witness: a log is cosigned, a stale size is answered with 409, junk is refused", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 5);
  await using server = await serveWitness(witness, { host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${String(server.port)}`;
  await addWitness(folder.path, { vkey: witness.vkey, url });
  assert.equal((await log.witness())[0]?.size, 5);
  await appendMany(log, 5, 9);
  assert.equal((await log.witness())[0]?.size, 9);
  const stale = await fetch(`${url}/add-checkpoint`, { method: "POST", body: await request(log, 0) });
  assert.deepEqual(
    [stale.status, stale.headers.get("content-type"), await stale.text()],
    [409, "text/x.tlog.size", "9\n"],
  );
  assert.equal((await fetch(`${url}/add-checkpoint`)).status, 405);
  assert.equal((await fetch(`${url}/other`, { method: "POST", body: "x" })).status, 404);
  const long = await fetch(`${url}/add-checkpoint`, { method: "POST", body: "x".repeat(200_000) }).catch(
    () => null,
  );
  assert.ok(long === null || long.status === 413);
  await log[Symbol.asyncDispose]();
});

void test("what an HTTP witness answers is believed only with its key: floods, redirects and strangers are problems", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 5);
  await using _ = log;
  let answer: { status: number; headers?: Record<string, string>; body: string } = { status: 200, body: "" };
  const server = createServer((_request, response) => {
    response.writeHead(answer.status, answer.headers).end(answer.body);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await addWitness(folder.path, { vkey: witness.vkey, url: `http://127.0.0.1:${String(port)}` });
  const stranger = await Witness.init(join(folder.path, "stranger"), NAME);
  await stranger.trust(log.vkey);
  const { body } = await stranger.addCheckpoint(await request(log, 0));
  for (const wrong of [
    { status: 200, body: "" },
    { status: 200, body },
    { status: 200, body: "x".repeat(1_000_000) },
    { status: 302, headers: { location: "http://127.0.0.1:1/" }, body: "" },
    { status: 409, body: "999\n" },
    { status: 409, body: "nonsense" },
    { status: 500, body: "\u001b[31m" },
  ]) {
    answer = wrong;
    assert.notEqual((await log.witness())[0]?.problem, null, JSON.stringify(wrong).slice(0, 80));
  }
  server.close();
});

void test("consistency proofs: every pair of sizes is accepted, and none with another root, size or hash", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const heads = [openCheckpoint(await log.checkpoint())];
  for (let n = 0; n < 40; n++) {
    await log.append(record(n));
    heads.push(openCheckpoint(await log.checkpoint()));
  }
  const files = new LogFiles(log.dir);
  for (const older of heads)
    for (const newer of heads.slice(older.size)) {
      const hashes = await consistencyHashes(files, older.size, newer.size);
      const proof = older.size === newer.size ? [] : hashes;
      assert.ok(isConsistent(older, newer, proof), `${String(older.size)} ${String(newer.size)}`);
      if (older.size === 0 || older.size === newer.size) continue;
      const other = heads[older.size - 1] ?? older;
      assert.equal(isConsistent({ ...older, root: other.root }, newer, proof), false);
      assert.equal(isConsistent(older, { ...newer, root: older.root }, proof), false);
      assert.equal(isConsistent(older, newer, [...proof, older.root]), false);
      assert.equal(isConsistent(older, newer, proof.slice(1)), false);
      assert.equal(isConsistent(newer, older, proof), false);
    }
});

void test("a verifier key of another algorithm or with another hash is no witness's", () => {
  for (const line of ["", "a+00000000+AAAA", "witness.example/w1+00000000+BGWDPwA="])
    assert.throws(() => parseWitnessVkey(line), { code: "KEY_INVALID" });
});

void test("a log that is closed has its last checkpoint cosigned", async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 5);
  await addWitness(folder.path, { vkey: witness.vkey, folder: witness.dir });
  await log.witness();
  await appendMany(log, 5, 12);
  await log[Symbol.asyncDispose]();
  assert.equal((await seen(witness)).split("\n")[1], "12");
});

void test("a witness that never answers keeps no log from closing", { timeout: 600_000 }, async () => {
  await using folder = await temporary();
  const { log, witness } = await pair(folder.path, 5);
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  await addWitness(folder.path, { vkey: witness.vkey, url: `http://127.0.0.1:${String(port)}` });
  await appendMany(log, 5, 12);
  await log[Symbol.asyncDispose]();
  silent.closeAllConnections();
  silent.close();
  assert.equal(await seen(witness), "");
});
