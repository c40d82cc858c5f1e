import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ORIGIN, silent, temporary } from "../../../test/evidence/support.ts";
import {
  exportEvidence,
  LogFiles,
  openCheckpoint,
  openEvidence,
  rotateEvidenceKey,
  verifyEvidence,
} from "../src/evidence/index.ts";
import { isSignedBy, parseVkey } from "../src/evidence/signed-note.ts";

void test("an export beside rotations has the key that signed its checkpoint, and the folder's own verify goes on", async () => {
  await using folder = await temporary();
  await using log = await openEvidence({ dir: folder.path, origin: ORIGIN, log: silent });
  const context = { subject: "operator:tester", correlationId: "c_rotate", policyHash: null } as const;
  const rotating = (async () => {
    for (let round = 0; round < 40; round++) {
      await rotateEvidenceKey(log, folder.path, context, null);
      await log.checkpoint();
    }
  })();
  const goesOn = (): Promise<boolean> => Promise.race([rotating.then(() => false), turn(true)]);
  for (let round = 0; await goesOn(); round++) {
    const out = join(folder.path, `out-${String(round)}`);
    const { vkey } = await exportEvidence({ dir: log.dir, out });
    const { note } = openCheckpoint(await new LogFiles(out).checkpoint());
    assert.ok(isSignedBy(note, parseVkey(vkey)), `export ${String(round)}`);
    const own = (await readFile(join(log.dir, "key.vkey"), "utf8")).trim();
    assert.deepEqual((await verifyEvidence({ dir: log.dir, vkey: own })).problems, []);
  }
});
