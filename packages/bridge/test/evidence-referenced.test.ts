import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { appendMany, openLog, record, temporary } from "../../../test/evidence/support.ts";
import { exportEvidence, verifyEvidence, type EvidenceLog } from "../src/evidence/index.ts";

// eslint-disable-next-line @typescript-eslint/require-await -- a stream whose chunks are there already
async function* chunks(...texts: readonly string[]) {
  for (const text of texts) yield Buffer.from(text);
}

/** A record that refers to a kept transcript. */
async function appendWith(log: EvidenceLog, transcript: string) {
  const reference = await log.keep(Buffer.from(transcript), { mediaType: "application/x-asciicast" });
  await log.append({ ...record(1), transcript: reference } as Parameters<EvidenceLog["append"]>[0]);
  return reference;
}

void test("what is kept is named by its digest, private, durable once for the same bytes, and streams like buffers", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const digest = createHash("sha256").update("hello world").digest("hex");
  const first = await log.keep(Buffer.from("hello world"));
  const again = await log.keep(chunks("hello ", "world"), { mediaType: "text/plain" });
  assert.deepEqual(first, { digest: `sha256:${digest}`, bytes: 11, path: `referenced/${digest}` });
  assert.deepEqual(again, { ...first, mediaType: "text/plain" });
  assert.deepEqual(await readdir(join(folder.path, "referenced")), [digest]);
  assert.equal((await stat(join(folder.path, "referenced", digest))).mode & 0o777, 0o600);
});

void test("what is over its cap is refused with INPUT_TOO_LARGE, and what breaks off leaves nothing", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  await assert.rejects(log.keep(chunks("12345", "67890"), { maxBytes: 9 }), { code: "INPUT_TOO_LARGE" });
  async function* broken() {
    yield Buffer.from("x");
    await Promise.resolve();
    throw new Error("gone");
  }
  await assert.rejects(log.keep(broken()), /gone/);
  await assert.rejects(log.keep(chunks("x"), { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual(await readdir(join(folder.path, "referenced")), []);
});

void test("an export holds what records refer to; a changed file is a problem, a missing one is said", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  await appendMany(log, 0, 260);
  const { path } = await appendWith(log, "a transcript");
  await appendWith(log, "another one");
  await log.checkpoint();
  const live = await verifyEvidence({ dir: log.dir, vkey: log.vkey });
  assert.match(live.checked.join("; "), /2 referenced file\(s\)/);
  const { out, vkey, copied, referenced } = await exportEvidence({
    dir: log.dir,
    out: join(folder.path, "out"),
  });
  await log[Symbol.asyncDispose]();
  assert.deepEqual([copied, referenced], [2, 2]);
  assert.deepEqual((await verifyEvidence({ dir: out, vkey })).problems, []);
  const file = join(out, path ?? "");
  for (const wrong of ["a transcripT", "a transcript and more"]) {
    await writeFile(file, wrong);
    const { problems } = await verifyEvidence({ dir: out, vkey });
    assert.match(problems[0]?.reason ?? "", /another digest or length/);
    assert.equal(problems[0]?.index, 260);
  }
  await rm(file);
  const missing = await verifyEvidence({ dir: out, vkey });
  assert.equal(missing.ok, true);
  assert.match(missing.notChecked.join("; "), /1 referenced file\(s\) that are not there/);
});

/** An export of one record that refers to a kept transcript. */
async function exportedWith(dir: string, transcript: string) {
  const log = await openLog(dir);
  const { path } = await appendWith(log, transcript);
  await log.checkpoint();
  const { out, vkey } = await exportEvidence({ dir: log.dir, out: join(dir, "out") });
  await log[Symbol.asyncDispose]();
  return { out, vkey, file: join(out, path ?? "") };
}

void test("an export that is dressed up as a log's own folder hides no changed file", async () => {
  await using folder = await temporary();
  const { out, vkey, file } = await exportedWith(folder.path, "a transcript");
  await writeFile(join(out, "journal"), "");
  assert.deepEqual((await verifyEvidence({ dir: out, vkey })).problems, []);
  await writeFile(file, "a transcripT");
  const { problems } = await verifyEvidence({ dir: out, vkey });
  assert.match(problems[0]?.reason ?? "", /another digest or length/);
});

void test("a file that was laid beside those that records refer to is a problem, whatever its name", async () => {
  await using folder = await temporary();
  const { out, vkey } = await exportedWith(folder.path, "a transcript");
  const forged = "what nobody ever typed";
  for (const name of ["session.cast", createHash("sha256").update(forged).digest("hex")]) {
    const path = join(out, "referenced", name);
    await writeFile(path, forged);
    const { problems } = await verifyEvidence({ dir: out, vkey });
    assert.deepEqual(problems, [
      { index: null, reason: `No record refers to the file "referenced/${name}"` },
    ]);
    await rm(path);
  }
  assert.equal((await verifyEvidence({ dir: out, vkey })).ok, true);
});

void test("a reference that names a path elsewhere is never read", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  const kept = await log.keep(Buffer.from("x"));
  await mkdir(join(folder.path, "outside"));
  await log.append({
    ...record(1),
    transcript: { ...kept, path: "referenced/../../outside" },
  } as Parameters<EvidenceLog["append"]>[0]);
  const { out, vkey, referenced } = await exportEvidence({ dir: log.dir, out: join(folder.path, "out") });
  await log[Symbol.asyncDispose]();
  assert.equal(referenced, 0);
  assert.equal((await verifyEvidence({ dir: out, vkey })).ok, true);
  assert.match(await readFile(join(out, "README.md"), "utf8"), /referenced/);
});
