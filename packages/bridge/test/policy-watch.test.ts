import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

/** In a user namespace of its own, where nobody may watch files. */
const NO_WATCHES = ["-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"', "sh"];
const skip =
  spawnSync("unshare", [...NO_WATCHES, "true"]).status === 0 ? false : "this host has no user namespaces";

it("a host whose file watches are all taken keeps no policy from being watched", { skip }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "dw-watch-"));
  const child = fileURLToPath(new URL("./policy-watch-child.ts", import.meta.url));
  const node = [process.execPath, ...process.execArgv.filter((arg) => arg !== "--test"), child, dir];
  const run = spawn("unshare", [...NO_WATCHES, ...node], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const lines = createInterface({ input: run.stdout })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, "watching");
    writeFileSync(join(dir, "policy.yaml"), "version: 1\nroots: []\nbridge: { tcp: false }\n", {
      mode: 0o600,
    });
    assert.equal((await lines.next()).value, "changed");
  } finally {
    run.kill("SIGKILL");
    if (run.exitCode === null && run.signalCode === null) await once(run, "exit");
    rmSync(dir, { recursive: true, force: true });
  }
});
