import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { verifyEvidence, type EvidenceLog } from "../src/evidence/index.ts";
import { openLog, opening, record, temporary } from "../../../test/evidence/support.ts";
import { needsMount, smallDisk } from "../../../test/support/small-disk.ts";

const unwritable = { code: "EVIDENCE_UNWRITABLE" };

/** Fills a disk to the last byte. */
async function fill(dir: string): Promise<void> {
  await using file = await open(join(dir, "ballast"), "w");
  for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
    for (;;) {
      const written = await file.write(Buffer.alloc(bytes, 1)).catch(() => null);
      if (written === null || written.bytesWritten < bytes) break;
    }
  }
}

/** Appends until an append is refused; returns how many were acknowledged. */
async function appendUntilRefused(
  log: EvidenceLog,
  one: (n: number) => ReturnType<typeof record>,
): Promise<number> {
  for (let n = 0; n < 50_000; n += 100) {
    const results = await Promise.allSettled(Array.from({ length: 100 }, (_, at) => log.append(one(n + at))));
    const refused = results.filter((result) => result.status === "rejected");
    for (const { reason } of refused)
      assert.ok(reason instanceof DoorwardError && reason.code === "EVIDENCE_UNWRITABLE");
    if (refused.length > 0) return n + results.length - refused.length;
  }
  throw new Error("nothing was refused");
}

void test(
  "on a full disk ordinary records are refused, endings still fit, and what was acknowledged verifies",
  { skip: needsMount },
  async () => {
    using disk = smallDisk("8m");
    const log = await openLog(disk.path);
    await fill(disk.path);
    const opened = await appendUntilRefused(log, opening);
    assert.ok(opened > 1000);
    for (let n = 0; n < 100; n++) await log.append(record(n));
    await assert.rejects(log.append(opening(1)), unwritable);
    assert.equal(log.size, opened + 100);
    await Promise.all([assert.rejects(log.append(opening(2)), unwritable), log.append(record(100))]);
    const ended = await appendUntilRefused(log, record);
    await assert.rejects(log.append(record(1)), unwritable);
    const size = log.size;
    assert.equal(size, opened + 101 + ended);
    assert.equal((await log.read(size - 1)).type, "session-close");

    // there is space again: the same log goes on
    await rm(join(disk.path, "ballast"));
    assert.equal((await log.append(opening(3))).index, size);
    await log[Symbol.asyncDispose]();
    await using again = await openLog(disk.path);
    assert.equal(again.size, size + 1);
    assert.deepEqual((await verifyEvidence({ dir: again.dir, vkey: again.vkey })).problems, []);
  },
);

void test(
  "a log on a full disk opens, takes endings, and gives back every record after a restart",
  { skip: needsMount },
  async () => {
    using disk = smallDisk("8m");
    const first = await openLog(disk.path);
    await first.append(opening(0));
    await first[Symbol.asyncDispose]();
    await fill(disk.path);
    const log = await openLog(disk.path);
    assert.equal((await log.append(record(1))).index, 1);
    await log[Symbol.asyncDispose]();
    await rm(join(disk.path, "ballast"));
    await using again = await openLog(disk.path);
    assert.equal(again.size, 2);
    assert.deepEqual((await verifyEvidence({ dir: again.dir, vkey: again.vkey })).problems, []);
  },
);

void test(
  "when the folder turns read-only nothing is acknowledged that a restart would lose",
  { skip: needsMount },
  async () => {
    using disk = smallDisk("8m");
    const log = await openLog(disk.path);
    await log.append(opening(0));
    await log[Symbol.asyncDispose]();
    execFileSync("mount", ["-o", "remount,ro", disk.path]);
    await assert.rejects(openLog(disk.path));
    execFileSync("mount", ["-o", "remount,rw", disk.path]);
    await using again = await openLog(disk.path);
    assert.equal(again.size, 1);
  },
);

void test("when the journal's folder is gone, records stay durable in the open journal and tiles come back later", async () => {
  await using folder = await temporary();
  const log = await openLog(folder.path);
  await log.append(opening(0));
  await log.checkpoint();
  await rm(join(log.dir, "tile"), { recursive: true });
  await writeFile(join(log.dir, "tile"), "in the way");
  assert.equal((await log.append(opening(1))).index, 1);
  await assert.rejects(log.checkpoint());
  await rm(join(log.dir, "tile"));
  await mkdir(join(log.dir, "tile"));
  await log[Symbol.asyncDispose]();
  await using again = await openLog(folder.path);
  assert.deepEqual((await verifyEvidence({ dir: again.dir, vkey: again.vkey })).problems, []);
  assert.equal((await stat(log.dir)).mode & 0o777, 0o700);
  assert.ok((await readdir(log.dir)).every((name) => !name.endsWith(".tmp")));
});

void test(
  "what could not be written for want of space leaves the space that there was to others",
  { skip: needsMount },
  async () => {
    using disk = smallDisk("8m");
    const log = await openLog(disk.path, 1);
    await log.append(opening(0));
    await writeFile(join(disk.path, "ballast"), Buffer.alloc(2 << 20));
    // the journal is cut behind each record, for which the disk is too small
    for (const n of [1, 2, 3]) await log.append(opening(n));
    await log.checkpoint();
    assert.deepEqual(
      (await readdir(disk.path, { recursive: true })).filter((name) => name.endsWith(".tmp")),
      [],
    );
    await writeFile(join(disk.path, "others"), Buffer.alloc(1 << 20));
    await log[Symbol.asyncDispose]();
  },
);
