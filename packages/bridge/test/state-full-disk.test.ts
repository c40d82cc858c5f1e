import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { Settings } from "../src/daemon/settings.ts";
import { prepareFolders } from "../src/machines/podman/engine-folders.ts";
import { keepWritten, lockHolder, lockState, writeDurably } from "../src/state/index.ts";
import { Store } from "../src/store/index.ts";
import { needsMount, smallDisk } from "../../../test/support/small-disk.ts";

/** Fills a disk, and leaves so many bytes of it. */
function fill(dir: string, leave = 0): void {
  writeFileSync(join(dir, "left"), Buffer.alloc(leave));
  execFileSync("sh", ["-c", `cat /dev/zero > ${join(dir, "ballast")} 2>/dev/null || true`]);
  rmSync(join(dir, "left"));
}

void test(
  "a full disk does not keep a bridge from its lock, and it names no other holder",
  { skip: needsMount },
  async () => {
    using disk = smallDisk("1m");
    {
      using _before = await lockState({ state: disk.path, runtime: disk.path });
      assert.equal(lockHolder(disk.path), process.pid);
    }
    writeFileSync(join(disk.path, "bridge.pid"), "");
    fill(disk.path);
    using _lock = await lockState({ state: disk.path, runtime: disk.path });
    assert.equal(lockHolder(disk.path), undefined);
  },
);

void test("a run begins and ends on a full disk, without a note of it", { skip: needsMount }, () => {
  using disk = smallDisk("1m");
  const log = pino({ level: "silent" });
  const open = (): Store => Store.open({ dir: disk.path, log });
  {
    using store = open();
    assert.equal(new Settings(store).began(), "none");
    new Settings(store).ended();
  }
  using store = open();
  fill(disk.path);
  const settings = new Settings(store);
  assert.equal(settings.began(), "clean");
  settings.ended();
});

void test(
  "Podman's folders are found again on a full disk, and one whose memo is empty is chosen anew",
  { skip: needsMount },
  () => {
    using disk = smallDisk("1m");
    const prepare = () => prepareFolders(join(disk.path, "state"), join(disk.path, "run"), "boot");
    mkdirSync(join(disk.path, "state"));
    mkdirSync(join(disk.path, "run"));
    const folders = prepare();
    fill(disk.path);
    assert.deepEqual(prepare(), folders);
    rmSync(join(disk.path, "ballast"));
    writeFileSync(join(folders.state, "storage-folder"), "");
    assert.deepEqual(prepare(), folders);
  },
);

void test("a file that a disk has room for only in part is not put in place", { skip: needsMount }, () => {
  using disk = smallDisk("1m");
  const path = join(disk.path, "file");
  writeDurably(path, "before");
  fill(disk.path, 8192);
  assert.throws(() => writeDurably(path, "x".repeat(100_000)), { code: "ENOSPC" });
  assert.equal(readFileSync(path, "utf8"), "before");
  keepWritten(path, "before");
  assert.deepEqual(readdirSync(disk.path).sort(), ["ballast", "file"]);
});
