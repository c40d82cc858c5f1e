import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ownCommandLine } from "../src/hosts/linux/read-text.ts";
import type { EngineFolders } from "../src/machines/podman/engine-folders.ts";
import { Strays } from "../src/machines/podman/strays.ts";

const asRoot = { skip: process.getuid?.() === 0 ? false : "running as another user needs root" };
const NOBODY = 65_534;
const id = (digit: string): string => digit.repeat(64);

interface Fakes {
  readonly strays: Strays;
  /** Starts a process that looks like the conmon of a container and has a child. */
  conmon(containerId: string, uid: number): Promise<ChildProcess>;
  /** What the runtime was told to delete. */
  deleted(): string;
}

function fakes(t: TestContext): Fakes {
  const root = mkdtempSync("/var/tmp/dw-strays-");
  const [program, log, runtime] = ["conmon.cjs", "deleted", "runtime"].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  const started: ChildProcess[] = [];
  t.after(() => {
    for (const { pid } of started) if (pid !== undefined) process.kill(-pid, "SIGKILL");
    rmSync(root, { recursive: true, force: true });
  });
  chmodSync(root, 0o755);
  writeFileSync(program, `require("child_process").spawn("sleep", ["1000"]); console.log("up");`);
  writeFileSync(runtime, `#!/bin/sh\necho "$*" >> ${log}\n`, { mode: 0o755 });
  const folders = { tmpDir: join(root, "libpod") } as EngineFolders;
  return {
    strays: new Strays(folders, runtime),
    conmon: async (containerId, uid) => {
      const args = [program, "-c", containerId, join(folders.tmpDir, "exits")];
      const child = spawn(process.execPath, args, { argv0: "/usr/bin/conmon", uid, detached: true });
      started.push(child);
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await delay(50);
      return child;
    },
    deleted: () => (existsSync(log) ? readFileSync(log, "utf8") : ""),
  };
}

test(
  "a process of somebody else that calls itself conmon makes the bridge delete nothing",
  asRoot,
  async (t) => {
    const lab = fakes(t);
    const forged = await lab.conmon(id("a"), NOBODY);
    await lab.strays.endUnknown(new Set());
    await lab.strays.endOne(id("a"));
    assert.equal(lab.deleted(), "");
    assert.equal(forged.exitCode, null);
    assert.deepEqual(ownCommandLine(forged.pid ?? 0), [], "its arguments are not looked at");
  },
);

test("what is no container's id is never an argument of the runtime", asRoot, async (t) => {
  const lab = fakes(t);
  await lab.conmon("--root=/elsewhere", 0);
  await lab.strays.endUnknown(new Set());
  assert.equal(lab.deleted(), "");
});

test("a conmon of ours with an unknown container is ended", asRoot, async (t) => {
  const lab = fakes(t);
  await lab.conmon(id("b"), 0);
  await lab.strays.endUnknown(new Set([id("c")]));
  assert.equal(lab.deleted(), `delete --force ${id("b")}\n`);
});
