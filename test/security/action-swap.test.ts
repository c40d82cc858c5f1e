import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** Attempts of this run: DOORWARD_TEST_SWAPS; 1,000,000 on a host of one's own. */
const ATTEMPTS = process.env["DOORWARD_TEST_SWAPS"] ?? "10000";

test(
  `${ATTEMPTS} file operations on names that are swapped for links reach nothing outside their scope`,
  { skip: process.platform === "linux" ? false : "needs descriptors in /proc" },
  () => {
    const script = fileURLToPath(new URL("./action-swap.ts", import.meta.url));
    const args = ["--conditions=source", "--import", import.meta.resolve("tsx"), script, ATTEMPTS];
    const counts = JSON.parse(execFileSync(process.execPath, args).toString()) as {
      escapes: number;
      done: number;
      linksMet: number;
    };
    assert.equal(counts.escapes, 0);
    // Else it was no race.
    assert.ok(counts.done > 0 && counts.linksMet > 0);
  },
);
