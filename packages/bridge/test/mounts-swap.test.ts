import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createPins } from "../src/machines/mounts/pins.ts";

test("while protected names and the repo itself are swapped for symlinks, nothing outside the repo is ever planned", () => {
  const script = fileURLToPath(new URL("../../../test/security/swap-race.ts", import.meta.url));
  const args = ["--conditions=source", "--import", "tsx", script, "60"];
  const counts: unknown = JSON.parse(execFileSync(process.execPath, args, { timeout: 600_000 }).toString());
  assert.equal((counts as { outside: number }).outside, 0);
});

test("a pin whose folder became a link is refused with PATH_CHANGED, and nothing is made behind the link", () => {
  const base = mkdtempSync(join(tmpdir(), "dw-pins-"));
  const folder = openSync(base, "r");
  try {
    mkdirSync(join(base, "outside"));
    symlinkSync("outside", join(base, ".git"));
    for (const kind of ["folder", "file"] as const)
      assert.throws(
        () => createPins(folder, [{ path: ".git/hooks", kind, content: "" }]),
        (error: { code?: string }) => error.code === "PATH_CHANGED",
      );
    assert.deepEqual(readdirSync(join(base, "outside")), []);
  } finally {
    closeSync(folder);
    rmSync(base, { recursive: true });
  }
});
