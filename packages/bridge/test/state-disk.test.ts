import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FilesJournal, readInterrupted } from "../src/actions/files/journal.ts";
import { writeDurably } from "../src/state/index.ts";
import { needsMount, smallDisk } from "../../../test/support/small-disk.ts";

const PAGE = 4096;

/** Leaves room for so many bytes. */
function fill(path: string, left: number): void {
  const { bavail, bsize } = statfsSync(path);
  writeFileSync(join(path, "filler"), Buffer.alloc(bavail * bsize - left));
}

function openFiles(folder: string): string[] {
  const found = execFileSync("ls", ["-l", `/proc/${String(process.pid)}/fd`], { encoding: "utf8" });
  return found.split("\n").filter((line) => line.includes(folder));
}

describe("small files on a disk that is all but full", { skip: needsMount }, () => {
  it("keep their old content as a whole when the new one finds room for a part of it", () => {
    using small = smallDisk("1m");
    const path = join(small.path, "secret.age");
    writeDurably(path, "old");
    fill(small.path, 2 * PAGE);
    assert.throws(() => writeDurably(path, "n".repeat(4 * PAGE)), { code: "ENOSPC" });
    assert.equal(readFileSync(path, "utf8"), "old");
    assert.deepEqual(readdirSync(small.path).sort(), ["filler", "secret.age"]);
  });

  it("a journal of file operations that finds no room leaves no open file, and nothing on the disk", () => {
    using small = smallDisk("1m");
    const folder = join(small.path, "journal");
    FilesJournal.begin(folder, "notes", [])[Symbol.dispose]();
    fill(small.path, PAGE);
    const operations = Array.from({ length: 100 }, (_, at) => {
      return { type: "writeFile", path: `/srv/${"deep/".repeat(10)}${String(at)}`, unfinished: "tmp" };
    });
    assert.throws(() => FilesJournal.begin(folder, "notes", operations), { code: "ENOSPC" });
    assert.deepEqual(openFiles(folder), []);
    assert.deepEqual(readdirSync(folder), []);
  });
});

describe("what a killed bridge left of file operations", () => {
  it("is settled as far as it can be read, whatever else lies beside it", () => {
    const folder = mkdtempSync(join(tmpdir(), "dw-journal-"));
    try {
      const begin = { id: "x", scope: "notes", startedAt: "2026-11-21T10:00:00Z", operations: [] };
      execFileSync("mkdir", [join(folder, "a.jsonl")]);
      writeFileSync(join(folder, "b.jsonl"), `${JSON.stringify(begin)}\n`);
      const settled: string[] = [];
      readInterrupted(folder, ({ scope }) => void settled.push(scope));
      assert.deepEqual(settled, ["notes"]);
      assert.deepEqual(readdirSync(folder), ["a.jsonl"]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
