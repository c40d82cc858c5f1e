import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { access, mkdir, readdir, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { EvidenceInput } from "@doorward/contracts";
import { mutationRounds, MUTATIONS } from "../../../test/evidence/mutate.ts";
import { killRounds } from "../../../test/evidence/kill.ts";
import { readEntries, rebuild } from "../../../test/evidence/rebuild.ts";
import { appendMany, keyOf, openLog, ORIGIN, record, temporary } from "../../../test/evidence/support.ts";
import {
  createEvidenceKey,
  exportEvidence,
  LogFiles,
  noteVerifier,
  openCheckpoint,
  proveConsistency,
  proveInclusion,
  rootOfInclusion,
  tlogProof,
  verifyEvidence,
  vkeyLine,
} from "../src/evidence/index.ts";
import { openEnvelope, signEnvelope } from "../src/evidence/dsse.ts";

/** A log of `size` records, exported. */
async function exported(dir: string, size: number) {
  const log = await openLog(dir);
  await appendMany(log, 0, size);
  await log[Symbol.asyncDispose]();
  return exportEvidence({ dir: join(dir, "log"), out: join(dir, "export") });
}

for (const size of [0, 1, 255, 256, 257, 512, 700]) {
  void test(`an export of ${String(size)} records verifies with the public key alone, and holds no private key`, async () => {
    await using folder = await temporary();
    const { out, vkey } = await exported(folder.path, size);
    await rm(join(folder.path, "log"), { recursive: true });
    const report = await verifyEvidence({ dir: out, vkey });
    assert.deepEqual(report.problems, []);
    assert.equal(report.ok, true);
    assert.equal(report.size, size);
    assert.match(report.notChecked.join("; "), /rollback, truncation and fork/);
    await assert.rejects(access(join(out, "journal")));
    assert.doesNotMatch(await readFile(join(out, "key.pem"), "utf8"), /PRIVATE/);
  });
}

void test("an export of a log that goes on growing verifies", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path, 50_000);
  await appendMany(log, 0, 300);
  const growing = appendMany(log, 300, 3000);
  await log.checkpoint();
  for (let n = 0; n < 5; n++) {
    const { out, vkey, size } = await exportEvidence({
      dir: log.dir,
      out: join(folder.path, `export${String(n)}`),
    });
    assert.ok(size >= 300);
    assert.deepEqual((await verifyEvidence({ dir: out, vkey })).problems, []);
  }
  await growing;
});

void test("an export refuses a folder that is not empty, and a file", async () => {
  await using folder = await temporary();
  await exported(folder.path, 3);
  const dir = join(folder.path, "log");
  await assert.rejects(exportEvidence({ dir, out: join(folder.path, "export") }), { code: "INPUT_INVALID" });
  await writeFile(join(folder.path, "file"), "");
  await assert.rejects(exportEvidence({ dir, out: join(folder.path, "file") }), { code: "INPUT_INVALID" });
  await mkdir(join(folder.path, "empty"));
  await exportEvidence({ dir, out: join(folder.path, "empty") });
});

void test("a log is verified against the key that was given, not the one in the folder", async () => {
  await using folder = await temporary();
  const { out } = await exported(folder.path, 5);
  const stranger = await createEvidenceKey(join(folder.path, "stranger.pem"));
  const report = await verifyEvidence({ dir: out, vkey: vkeyLine(noteVerifier(ORIGIN, stranger)) });
  assert.equal(report.ok, false);
  assert.match(report.problems[0]?.reason ?? "", /not signed by the log's key/);
});

void test("a key that was laid in the place of the log's own is a problem, also for who was given the right one", async () => {
  await using folder = await temporary();
  const { out, vkey } = await exported(folder.path, 3);
  const stranger = await createEvidenceKey(join(folder.path, "stranger.pem"));
  const forged = {
    "key.vkey": `${vkeyLine(noteVerifier(ORIGIN, stranger))}\n`,
    "key.pem": stranger.publicKey.export({ format: "pem", type: "spki" }).toString(),
  };
  for (const [name, text] of Object.entries(forged)) {
    const own = await readFile(join(out, name));
    await writeFile(join(out, name), text);
    const { problems } = await verifyEvidence({ dir: out, vkey });
    assert.deepEqual(problems, [{ index: null, reason: `"${name}" is not the log's key` }]);
    await writeFile(join(out, name), own);
  }
  assert.equal((await verifyEvidence({ dir: out, vkey })).ok, true);
});

void test("a consistency proof under the name of another size is a problem", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  await appendMany(log, 0, 5);
  const kept = await log.checkpoint();
  await appendMany(log, 5, 9);
  await log[Symbol.asyncDispose]();
  const { out, vkey } = await exportEvidence({
    dir: join(folder.path, "log"),
    out: join(folder.path, "export"),
    older: [kept],
  });
  await rename(join(out, "proofs", "consistency-5-9.json"), join(out, "proofs", "consistency-5-10.json"));
  const { problems } = await verifyEvidence({ dir: out, vkey });
  assert.match(problems[0]?.reason ?? "", /"proofs\/consistency-5-10.json" is not the proof/);
});

void test("a log of another origin is refused", async () => {
  await using folder = await temporary();
  const { out } = await exported(folder.path, 5);
  const vkey = vkeyLine(noteVerifier("doorward.local/other", await keyOf(folder.path)));
  assert.equal((await verifyEvidence({ dir: out, vkey })).ok, false);
});

void test("unusable input throws: a malformed key, a malformed kept checkpoint", async () => {
  await using folder = await temporary();
  const { out, vkey } = await exported(folder.path, 5);
  await assert.rejects(verifyEvidence({ dir: out, vkey: "nonsense" }), { code: "KEY_INVALID" });
  await assert.rejects(verifyEvidence({ dir: out, vkey, checkpoint: "nonsense" }), { code: "INPUT_INVALID" });
  assert.equal((await verifyEvidence({ dir: join(folder.path, "nowhere"), vkey })).ok, false);
});

void test("a problem is named with the record's index", async () => {
  await using folder = await temporary();
  const { out, vkey } = await exported(folder.path, 300);
  const entries = await readEntries(out);
  const changed = Buffer.from(entries[270] ?? "");
  changed[40] = (changed[40] ?? 0) ^ 1;
  await rebuild(out, entries.with(270, changed), await keyOf(folder.path));
  const { problems } = await verifyEvidence({ dir: out, vkey });
  assert.deepEqual(
    problems.map(({ index }) => index),
    [270],
  );
});

void test(
  "in a log that several threads verify, every change is found at its place",
  { timeout: 600_000 },
  async () => {
    await using folder = await temporary();
    const { out, vkey } = await exported(folder.path, 34 * 256 + 10);
    const stranger = await createEvidenceKey(join(folder.path, "stranger.pem"));
    const entries = await readEntries(out);
    const found = async () =>
      (await verifyEvidence({ dir: out, vkey })).problems
        .map(({ index }) => index)
        .sort((a, b) => Number(a) - Number(b));
    assert.deepEqual(await found(), []);
    const resigned = (index: number) =>
      signEnvelope(openEnvelope(entries[index] ?? Buffer.alloc(0)).payload, [stranger]);
    const [first = entries[0], second = entries[1]] = [entries[4000], entries[4001]];
    assert.ok(first !== undefined && second !== undefined);
    const changed = entries
      .with(300, await resigned(300))
      .with(301, await resigned(301))
      .with(4000, second)
      .with(4001, first)
      .with(8713, Buffer.from("{}"));
    await rebuild(out, changed, await keyOf(folder.path));
    assert.deepEqual(await found(), [300, 301, 4000, 4001, 8713]);
    await rebuild(out, entries, await keyOf(folder.path));
    for (const n of [1, 20, 33]) {
      const path = join(out, `tile/0/0${String(n).padStart(2, "0")}`);
      const tile = await readFile(path);
      tile[32 * 7] = (tile[32 * 7] ?? 0) ^ 1;
      await writeFile(path, tile);
    }
    // longer than any tile: it must not get in the way of the entries that were read before it
    await writeFile(join(out, "tile/0/005"), Buffer.alloc(400_000));
    assert.deepEqual(await found(), [1 * 256 + 7, 5 * 256, 20 * 256 + 7, 33 * 256 + 7]);
  },
);

void test("a kept checkpoint of any size of the same log fits, and one of a forged size does not", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const kept = [await log.checkpoint()];
  for (let n = 0; n < 8; n++) {
    await appendMany(log, n * 90, (n + 1) * 90);
    kept.push(await log.checkpoint());
  }
  for (const checkpoint of kept) {
    const report = await verifyEvidence({ dir: log.dir, vkey: log.vkey, checkpoint });
    assert.deepEqual(report.problems, []);
    assert.match(report.checked.join("; "), /against the kept checkpoint/);
  }
  const forged = (kept[3] ?? "").replace("\n270\n", "\n271\n");
  assert.equal((await verifyEvidence({ dir: log.dir, vkey: log.vkey, checkpoint: forged })).ok, false);
});

void test("verification stops when it is told to", async () => {
  await using folder = await temporary();
  const { out, vkey } = await exported(folder.path, 600);
  await assert.rejects(verifyEvidence({ dir: out, vkey, signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
});

void test("a checkpoint that claims more records than anybody could store ends quickly", async () => {
  await using folder = await temporary();
  const { out, vkey } = await exported(folder.path, 5);
  const path = join(out, "checkpoint");
  await writeFile(path, (await readFile(path, "utf8")).replace("\n5\n", "\n999999999999999\n"));
  assert.equal((await verifyEvidence({ dir: out, vkey })).ok, false);
});

void test("inclusion proofs lead to the checkpoint's root for every record, and for no other index", async () => {
  await using folder = await temporary();
  const { out } = await exported(folder.path, 517);
  const files = new LogFiles(out);
  const { root } = openCheckpoint(await files.checkpoint());
  for (const index of [0, 1, 2, 100, 255, 256, 300, 511, 512, 515, 516]) {
    const proof = await proveInclusion(files, index);
    const hashes = proof.hashes.map((hash) => Buffer.from(hash, "base64"));
    const leaf = Buffer.from(proof.leafHash, "base64");
    assert.deepEqual(rootOfInclusion(leaf, index, 517, hashes), root);
    assert.notDeepEqual(rootOfInclusion(leaf, index ^ 1, 517, hashes), root);
    assert.equal(rootOfInclusion(leaf, index, 517, [...hashes, root]), null);
    assert.match(
      tlogProof(proof),
      /^c2sp\.org\/tlog-proof@v1\nindex \d+\n[\s\S]+\n\ndoorward\.local\/test\n517\n/,
    );
  }
  for (const index of [-1, 517, 0.5])
    await assert.rejects(proveInclusion(files, index), { code: "EVIDENCE_NOT_FOUND" });
  for (const from of [0, -1, 518])
    await assert.rejects(proveConsistency(files, from), { code: "EVIDENCE_NOT_FOUND" });
});

void test("every kind of mutation of an exported log is found", { timeout: 600_000 }, async () => {
  const { missed } = await mutationRounds(Object.keys(MUTATIONS).length * 2);
  assert.deepEqual(missed, []);
});

void test(
  "20 kills with SIGKILL during appends lose nothing that was acknowledged",
  { timeout: 600_000 },
  async () => {
    const { acknowledged, size } = await killRounds(20);
    assert.ok(acknowledged > 100 && size >= acknowledged);
  },
);

const HOSTILE = {
  "a pipe": (path: string) => execFileSync("mkfifo", [path]),
  "a link to an endless device": (path: string) => symlink("/dev/zero", path),
  "a link to another file": (path: string) => symlink("/etc/passwd", path),
  "a folder": (path: string) => mkdir(path),
  "a file of a terabyte": async (path: string) => {
    await writeFile(path, "");
    await truncate(path, 2 ** 40);
  },
};

for (const [what, make] of Object.entries(HOSTILE)) {
  void test(`${what} in the place of any file of an export is a problem, and holds nothing up`, async () => {
    await using folder = await temporary();
    await using log = await openLog(folder.path);
    await appendMany(log, 0, 2);
    const kept = await log.keep(Buffer.from(""));
    await log.append({ ...record(2), transcript: kept } as EvidenceInput);
    await log.append({ ...record(3), transcript: await log.keep(Buffer.from("text")) } as EvidenceInput);
    await log.checkpoint();
    const { out, vkey } = await exportEvidence({ dir: log.dir, out: join(folder.path, "export") });
    const own = ["checkpoint", "tile/0/000.p/4", "tile/entries/000.p/4", "proofs/record-0.tlog-proof"];
    for (const path of [
      ...own,
      ...(await readdir(join(out, "referenced"))).map((name) => `referenced/${name}`),
    ]) {
      const aside = await readFile(join(out, path)).catch(() => null);
      await mkdir(dirname(join(out, path)), { recursive: true });
      await rm(join(out, path), { force: true });
      await make(join(out, path));
      const report = await verifyEvidence({ dir: out, vkey });
      assert.equal(report.ok, false, path);
      await rm(join(out, path), { recursive: true });
      if (aside !== null) await writeFile(join(out, path), aside);
    }
    assert.deepEqual((await verifyEvidence({ dir: out, vkey })).problems, []);
  });
}
