import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** Attempts of this run: DOORWARD_TEST_SWAPS; 100,000 on a host of one's own. */
const ATTEMPTS = process.env["DOORWARD_TEST_SWAPS"] ?? "5000";

test(
  `${ATTEMPTS} requests for files whose names are swapped for links tell and change nothing outside the granted folder`,
  { skip: process.platform === "linux" ? false : "needs descriptors in /proc" },
  () => {
    const script = fileURLToPath(new URL("./file-swap.ts", import.meta.url));
    const args = ["--conditions=source", "--import", import.meta.resolve("tsx"), script, ATTEMPTS];
    const counts = JSON.parse(execFileSync(process.execPath, args).toString()) as {
      escapes: number;
      done: number;
      refused: number;
      doneByTools: number;
    };
    assert.equal(counts.escapes, 0);
    // Else it was no race.
    assert.ok(counts.done > counts.doneByTools && counts.doneByTools > 0 && counts.refused > 0);
  },
);
