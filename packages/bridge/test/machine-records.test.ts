import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { MachineRecords, type MachineRecord } from "../src/machines/life/index.ts";
import type { Documents } from "../src/store/index.ts";

/** Documents that can be full. */
class Kept implements Documents<MachineRecord> {
  readonly stored = new Map<string, MachineRecord>();
  full = false;
  put(id: string, document: MachineRecord): void {
    if (this.full) throw new DoorwardError({ code: "STATE_UNWRITABLE", message: "full" });
    this.stored.set(id, document);
  }
  get = (id: string): MachineRecord | undefined => this.stored.get(id);
  delete = (id: string): boolean => this.stored.delete(id);
  list = (): readonly MachineRecord[] => [...this.stored.values()];
  transaction = <Result>(change: () => Result): Result => change();
}

const record = (id: string, state: MachineRecord["state"]): MachineRecord =>
  ({ id, name: id, state, createdAt: id }) as MachineRecord;

void test("a machine ends on a full disk, begins on none, and the store learns of it with the next change", () => {
  const documents = new Kept();
  const records = new MachineRecords(documents);
  for (const id of ["m_1", "m_2", "m_3"]) records.put(record(id, "running"));
  documents.full = true;
  assert.throws(() => records.put(record("m_4", "launching")), { code: "STATE_UNWRITABLE" });
  assert.equal(records.get("m_4"), undefined);
  records.putEnding(record("m_1", "stopping"));
  records.putEnding(record("m_1", "stopped"));
  records.putEnding(record("m_2", "stopped"));
  assert.deepEqual(
    records.list().map(({ state }) => state),
    ["stopped", "stopped", "running"],
  );
  assert.equal(documents.get("m_1")?.state, "running");
  documents.full = false;
  records.delete("m_2");
  assert.equal(documents.get("m_1")?.state, "stopped");
  records.put(record("m_3", "stopped"));
  assert.deepEqual(
    documents.list().map(({ id, state }) => `${id} ${state}`),
    ["m_1 stopped", "m_3 stopped"],
  );
});
