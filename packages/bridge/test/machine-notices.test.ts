import assert from "node:assert/strict";
import { test } from "node:test";
import { MachineRecord } from "../src/machines/life/record.ts";
import { keptNotices } from "../src/machines/life/notices.ts";

void test("notices as long as their paths are cut, so that a machine's record can always be stored", () => {
  const long = `/workspace/${"deep/".repeat(800)}: git does not work in it`;
  const kept = keptNotices(["before"], [long, "short"]);
  assert.deepEqual([kept[0], kept[2]], ["before", "short"]);
  assert.equal(kept[1]?.length, 1000);
  assert.match(kept[1], /^\/workspace\/deep.*\u2026$/);
  assert.ok(MachineRecord.shape.notices.safeParse(kept).success);
});

void test("of too many notices the newest are kept", () => {
  const many = Array.from({ length: 150 }, (_, at) => `notice ${String(at)}`);
  const kept = keptNotices(many.slice(0, 99), many.slice(99));
  assert.deepEqual([kept.length, kept[0], kept.at(-1)], [100, "notice 50", "notice 149"]);
  assert.ok(MachineRecord.shape.notices.safeParse(kept).success);
});
