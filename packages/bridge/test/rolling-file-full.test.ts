import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

it("a log without room neither ends its process, nor holds up a fault that is logged, nor the exit", () => {
  const folder = mkdtempSync(join(tmpdir(), "dw-log-"));
  try {
    symlinkSync("/dev/full", join(folder, "bridge.1.log"));
    const child = fileURLToPath(new URL("./rolling-file-full-child.ts", import.meta.url));
    const run = spawnSync(
      process.execPath,
      [...process.execArgv.filter((arg) => arg !== "--test"), child, folder],
      {
        encoding: "utf8",
        timeout: 600_000,
      },
    );
    assert.deepEqual([run.signal, run.status, run.stdout], [null, 0, "goes on\n"], run.stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
