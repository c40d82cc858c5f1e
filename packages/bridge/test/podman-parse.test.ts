import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hardLimit } from "../src/hosts/linux/linux-host.ts";
import { parseCgroups } from "../src/machines/podman/cgroup-limits.ts";
import { joinEntries } from "../src/machines/podman/container-logs.ts";
import { prepareFolders } from "../src/machines/podman/engine-folders.ts";
import { parseMountinfo, topMount } from "../src/machines/podman/mountinfo.ts";

test("mountinfo keeps odd paths and the options on both sides of the dash", () => {
  const lines = parseMountinfo(
    "36 35 98:0 /a\\040b /mnt\\040x rw,noatime master:1 - ext4 /dev/root rw,errors=continue\n" +
      "37 36 0:5 / /mnt\\040x ro,nosuid,idmapped - tmpfs tmpfs rw,size=4k\n\n",
  );
  assert.equal(lines.length, 2);
  assert.equal(lines[0]?.target, "/mnt x");
  assert.deepEqual(lines[0].superOptions, ["rw", "errors=continue"]);
  assert.deepEqual(topMount(lines, "/mnt x")?.options, ["ro", "nosuid", "idmapped"]);
  assert.equal(topMount(lines, "/absent"), undefined);
});

test("control groups are found on v1, v2 and hybrid hosts", () => {
  const hybrid = parseCgroups("5:cpu,cpuacct:/a:b\n4:memory:/m\n0::/unified\n");
  assert.deepEqual(
    [...hybrid],
    [
      ["cpu", "/a:b"],
      ["cpuacct", "/a:b"],
      ["memory", "/m"],
      ["", "/unified"],
    ],
  );
  assert.deepEqual([...parseCgroups("0::/user.slice\n")], [["", "/user.slice"]]);
});

test("an unlimited hard limit is a large number, and an absent one too", () => {
  const limits =
    "Max open files            1024                 20000                files\nMax processes             1 unlimited processes\n";
  assert.equal(hardLimit(limits, "Max open files"), 20_000);
  assert.equal(hardLimit(limits, "Max processes"), 1_048_576);
  assert.equal(hardLimit(limits, "Max nothing"), 1_048_576);
});

test("pieces of lines in a container's log are put together in order", () => {
  const log = "t1 stdout F one\nt2 stderr P tw\nt3 stderr F o\nt4 stdout F \nt5 stdout P end";
  assert.equal(joinEntries(log), "one\ntwo\n\nend");
  assert.equal(joinEntries("not a log entry\n"), "");
});

test("the run folder of another boot is emptied, and its place is kept", () => {
  const root = mkdtempSync(join(tmpdir(), "dwfold-"));
  try {
    const first = prepareFolders(join(root, "state"), join(root, "run"), "boot-1");
    writeFileSync(join(first.tmpDir, "alive"), "");
    assert.ok(Buffer.byteLength(first.socket) < 108);
    assert.ok(Buffer.byteLength(first.runRoot) <= 50, first.runRoot);
    const same = prepareFolders(join(root, "state"), join(root, "elsewhere"), "boot-1");
    assert.deepEqual(same, first);
    assert.throws(
      () => {
        mkdirSync(join(first.tmpDir));
      },
      { code: "EEXIST" },
    );
    prepareFolders(join(root, "state"), join(root, "run"), "boot-2");
    assert.throws(
      () => {
        rmSync(join(first.tmpDir, "alive"));
      },
      { code: "ENOENT" },
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("a long runtime folder gives way to a short run folder", () => {
  const root = mkdtempSync(join(tmpdir(), "dwfold-"));
  try {
    const folders = prepareFolders(join(root, "state"), join(root, "x".repeat(120)), "boot-1");
    assert.ok(Buffer.byteLength(folders.runRoot) <= 50, folders.runRoot);
    rmSync(folders.run, { recursive: true, force: true });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
