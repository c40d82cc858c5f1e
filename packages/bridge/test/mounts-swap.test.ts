import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("while protected names and the repo itself are swapped for symlinks, nothing outside the repo is ever planned", () => {
  const script = fileURLToPath(new URL("../../../test/security/swap-race.ts", import.meta.url));
  const args = ["--conditions=source", "--import", "tsx", script, "60"];
  const counts: unknown = JSON.parse(execFileSync(process.execPath, args, { timeout: 120_000 }).toString());
  assert.equal((counts as { outside: number }).outside, 0);
});
