import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Journal } from "../src/evidence/journal.ts";
import { temporary } from "../../../test/evidence/support.ts";

const start = { origin: "doorward.local/test", base: 0, edge: [] };

/** Leaves this process so many descriptors to open until it is disposed. */
function leaveDescriptors(free: number): Disposable {
  const held: number[] = [];
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch {
    for (const fd of held.splice(-free)) closeSync(fd);
  }
  return { [Symbol.dispose]: () => held.splice(0).forEach((fd) => closeSync(fd)) };
}

void test("a journal that was cut is the one that is written to, also when no descriptor is left then", async () => {
  await using folder = await temporary();
  const path = join(folder.path, "journal");
  const journal = await Journal.create(path, start);
  await journal.write(0, [Buffer.from("first")]);
  {
    using _few = leaveDescriptors(1);
    // the new file takes the last one, and none is left for the folder
    await journal.restart(start, [Buffer.from("first")]).catch(() => undefined);
  }
  assert.ok(await journal.hasRoom(1000, false, true));
  await journal.write(1, [Buffer.from("second")]);
  await journal[Symbol.asyncDispose]();
  const { journal: again, content } = await Journal.open(path);
  await again[Symbol.asyncDispose]();
  assert.deepEqual(content.entries.map(String), ["first", "second"]);
  assert.deepEqual(readdirSync(folder.path), ["journal"]);
});
