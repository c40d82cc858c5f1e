import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { collectWhenQuiet } from "../src/daemon/collect-when-quiet.ts";

test("garbage is collected in a quiet moment, and not again while little was added", async () => {
  let collected = 0;
  using _quiet = collectWhenQuiet(() => {
    collected += 1;
  });
  for (let round = 0; collected === 0 && round < 1200; round += 1) await delay(100);
  assert.equal(collected, 1);
  await delay(4500);
  assert.equal(collected, 1);
});

test("a bridge that was started without --expose-gc goes on", () => {
  collectWhenQuiet(undefined)[Symbol.dispose]();
});
