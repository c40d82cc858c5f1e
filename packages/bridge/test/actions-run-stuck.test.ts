import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { emptyCgroups, makeCgroups } from "../src/actions/run/cgroup.ts";
import { HostCommands } from "../src/actions/run/index.ts";
import { openRunLab } from "./actions-run-lab.ts";

const isRoot = process.getuid?.() === 0;
const possible = isRoot && existsSync("/dev/fuse") && existsSync("/usr/bin/python3");
const skip = possible ? false : "needs root, /dev/fuse and python3";

/** A folder that hangs whoever asks for anything in it, until disposed. */
async function stuckFolder(path: string) {
  mkdirSync(path);
  const script = fileURLToPath(new URL("./stuck-folder.py", import.meta.url));
  const child = spawn("/usr/bin/python3", [script, path], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, "mounted");
  return {
    asked: () => lines.next(),
    [Symbol.asyncDispose]: async () => {
      // Without anybody to answer, the kernel fails whatever waits.
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      spawnSync("umount", ["-l", path]);
    },
  };
}

/** Cgroups of programs that this process started. */
function ownCgroups(): string[] {
  const found = spawnSync("find", ["/sys/fs/cgroup", "-name", `doorward-action-${String(process.pid)}-*`]);
  return String(found.stdout)
    .split("\n")
    .filter((line) => line !== "");
}

describe("a program that hangs in the kernel", { skip }, () => {
  it("is answered for once it is cancelled", { timeout: 600_000 }, async () => {
    using lab = openRunLab();
    const path = join(lab.folder, "stuck");
    {
      await using stuck = await stuckFolder(path);
      const caller = new AbortController();
      const work = new HostCommands().run(lab.plan("/usr/bin/stat", [join(path, "x")]), caller.signal);
      await stuck.asked();
      caller.abort();
      assert.equal((await work).cancelled, true);
    }
    while (ownCgroups().length > 0) await emptyCgroups([]);
  });

  it("keeps no cgroup from being given up", { timeout: 600_000 }, async (test) => {
    const cgroups = makeCgroups();
    if (cgroups === null) {
      test.skip("no cgroup may be made here");
      return;
    }
    using lab = openRunLab();
    const path = join(lab.folder, "stuck");
    {
      await using stuck = await stuckFolder(path);
      const enter = cgroups.map((folder) => `echo $$ > ${folder}/cgroup.procs`).join(" && ");
      spawn("/bin/sh", ["-c", `${enter} && exec stat "$0"`, join(path, "x")], { stdio: "ignore" });
      await stuck.asked();
      await emptyCgroups(cgroups);
    }
    while (ownCgroups().length > 0) await emptyCgroups([]);
  });
});
