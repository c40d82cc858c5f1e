import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { DoorwardError, type ErrorCode } from "@doorward/contracts";
import Database from "libsql";
import { pino } from "pino";
import * as z from "zod";
import { Connection } from "../src/store/connection.ts";
import { SqlDocuments } from "../src/store/documents.ts";
import { MIGRATIONS } from "../src/store/migrations.ts";
import { Store } from "../src/store/index.ts";

const log = pino({ level: "silent" });
const LATEST = MIGRATIONS.at(-1)?.version ?? 0;
const Machine = z.strictObject({
  id: z.string(),
  size: z.int(),
  nested: z.strictObject({ on: z.boolean() }).optional(),
});

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "doorward-store-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function opened(t: TestContext, dir = folder(t)): Store {
  const store = Store.open({ dir, log });
  t.after(() => store.close());
  return store;
}

function withCode(code: ErrorCode, text = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DoorwardError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

test("a document that was put is there, also after closing and opening again", (t) => {
  const dir = folder(t);
  const first = Store.open({ dir, log });
  const machines = first.documents("machines", Machine);
  machines.put("b", { id: "b", size: 2 });
  machines.put("a", { id: "a", size: 1 });
  machines.put("a", { id: "a", size: 3, nested: { on: true } });
  first.close();
  first.close();
  const again = opened(t, dir).documents("machines", Machine);
  assert.deepEqual(again.get("a"), { id: "a", size: 3, nested: { on: true } });
  assert.deepEqual(
    again.list().map(({ id }) => id),
    ["a", "b"],
  );
  assert.equal(again.delete("a"), true);
  assert.equal(again.delete("a"), false);
  assert.equal(again.get("a"), undefined);
});

test("collections don't see each other's documents", (t) => {
  const store = opened(t);
  store.documents("machines", Machine).put("a", { id: "a", size: 1 });
  assert.deepEqual(store.documents("other", Machine).list(), []);
});

test("ids are data, never SQL", (t) => {
  const machines = opened(t).documents("machines", Machine);
  const id = `'; DROP TABLE documents; -- \u0000 " %`;
  machines.put(id, { id, size: 1 });
  assert.equal(machines.get(id)?.id, id);
  assert.equal(machines.get("';"), undefined);
});

test("a document of the wrong shape is refused before it is written, naming table, id and field", (t) => {
  const machines = opened(t).documents("machines", Machine);
  const wrong = { id: "a", size: 1, nested: { on: "yes" } } as never;
  assert.throws(
    () => machines.put("a", wrong),
    withCode("STATE_INVALID", /write "a" of "machines": field "nested.on"/),
  );
  assert.equal(machines.get("a"), undefined);
});

test("a stored document of the wrong shape is refused with STATE_INVALID when it is read", (t) => {
  const dir = folder(t);
  Store.open({ dir, log }).close();
  const raw = new Database(join(dir, "store.db"));
  const insert = raw.prepare("INSERT INTO documents (collection, id, value) VALUES ('machines', ?, ?)");
  insert.run("a", JSON.stringify({ id: "a", size: "big" }));
  insert.run("b", "{half");
  insert.run("c", JSON.stringify({ id: "c", size: 1, extra: true }));
  raw.close();
  const machines = opened(t, dir).documents("machines", Machine);
  assert.throws(() => machines.get("a"), withCode("STATE_INVALID", /read "a" of "machines": field "size"/));
  assert.throws(() => machines.get("b"), withCode("STATE_INVALID", /read "b"/));
  assert.throws(() => machines.get("c"), withCode("STATE_INVALID", /read "c"/));
  assert.throws(() => machines.list(), withCode("STATE_INVALID"));
});

test("a transaction that throws leaves nothing, and an inner one joins the outer", (t) => {
  const store = opened(t);
  const machines = store.documents("machines", Machine);
  const others = store.documents("others", Machine);
  assert.throws(() =>
    store.transaction(() => {
      machines.put("a", { id: "a", size: 1 });
      others.transaction(() => others.put("a", { id: "a", size: 1 }));
      throw new Error("changed my mind");
    }),
  );
  assert.equal(machines.get("a"), undefined);
  assert.equal(others.get("a"), undefined);
  assert.equal(
    store.transaction(() => 7),
    7,
  );
});

test("a transaction that would wait for a promise is refused and leaves nothing", (t) => {
  const store = opened(t);
  const machines = store.documents("machines", Machine);
  const late = async (): Promise<void> => {
    machines.put("a", { id: "a", size: 1 });
    await Promise.resolve();
  };
  assert.throws(() => store.transaction(late), /can't wait for a promise/);
  assert.equal(machines.get("a"), undefined);
});

test("a closed store refuses", (t) => {
  const store = opened(t);
  store.close();
  assert.throws(() => store.documents("machines", Machine).get("a"), withCode("BRIDGE_STOPPING"));
});

test("every file of the store is for its owner alone", (t) => {
  const dir = folder(t);
  const mask = process.umask(0);
  t.after(() => process.umask(mask));
  opened(t, dir).documents("machines", Machine).put("a", { id: "a", size: 1 });
  const files = readdirSync(dir);
  assert.deepEqual(files.sort(), ["store.db", "store.db-shm", "store.db-wal"]);
  for (const file of files) assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600, file);
});

test("a file that is not a store is refused with STATE_INVALID and left as it is", (t) => {
  const dir = folder(t);
  const text = "this is not a database, ".repeat(500);
  writeFileSync(join(dir, "store.db"), text);
  assert.throws(() => Store.open({ dir, log }), withCode("STATE_INVALID"));
  assert.equal(readFileSync(join(dir, "store.db"), "utf8"), text);
});

test("a store whose pages are damaged is refused after an unclean end", (t) => {
  const dir = folder(t);
  const store = Store.open({ dir, log });
  const machines = store.documents("machines", z.strictObject({ text: z.string() }));
  store.transaction(() => {
    for (let i = 0; i < 400; i += 1) machines.put(`id-${i}`, { text: "y".repeat(500) });
  });
  store.close();
  const path = join(dir, "store.db");
  assert.equal(sizeOf(`${path}-wal`), 0, "closing left a log behind");
  const bytes = readFileSync(path);
  bytes.fill(0x41, 4096 * 3, 4096 * 9);
  writeFileSync(path, bytes);
  writeFileSync(`${path}-wal`, Buffer.alloc(64));
  assert.throws(() => Store.open({ dir, log }), withCode("STATE_INVALID"));
});

test("a store that can't be written says so with STATE_UNWRITABLE, and works again later", (t) => {
  const dir = folder(t);
  const machines = opened(t, dir).documents("machines", Machine);
  const other = new Database(join(dir, "store.db"));
  other.exec("BEGIN IMMEDIATE");
  assert.throws(() => machines.put("a", { id: "a", size: 1 }), withCode("STATE_UNWRITABLE"));
  assert.throws(() => machines.transaction(() => machines.delete("a")), withCode("STATE_UNWRITABLE"));
  other.exec("ROLLBACK");
  other.close();
  machines.put("a", { id: "a", size: 1 });
  assert.equal(machines.list().length, 1);
});

test("a full disk refuses a transaction as a whole with STATE_UNWRITABLE, and the store goes on", (t) => {
  const dir = folder(t);
  Store.open({ dir, log }).close();
  using connection = new Connection(join(dir, "store.db"));
  const texts = new SqlDocuments(connection, "texts", z.strictObject({ text: z.string() }));
  texts.put("first", { text: "" });
  // SQLite's own limit gives the error of a full disk, without filling one.
  connection.execute("PRAGMA max_page_count = 20");
  const fill = (): void => {
    for (let i = 0; i < 50; i += 1) texts.put(`big-${i}`, { text: "z".repeat(4000) });
  };
  assert.throws(() => texts.transaction(fill), withCode("STATE_UNWRITABLE", /full/));
  assert.deepEqual(texts.list(), [{ text: "" }]);
  texts.put("second", { text: "" });
  assert.equal(texts.list().length, 2);
});

test("a store of a newer Doorward is refused with STATE_NEWER and left as it is", (t) => {
  const dir = folder(t);
  Store.open({ dir, log }).close();
  const raw = new Database(join(dir, "store.db"));
  raw.exec("PRAGMA user_version = 99");
  raw.close();
  assert.throws(() => Store.open({ dir, log }), withCode("STATE_NEWER", /version is 99/));
  assert.throws(() => Store.open({ dir, log }), withCode("STATE_NEWER"));
});

test("an older store is copied, then migrated; documents come along", (t) => {
  const dir = folder(t);
  const old = Store.open({ dir, log });
  old.documents("machines", Machine).put("a", { id: "a", size: 1 });
  old.close();
  const up = {
    version: LATEST + 1,
    up: (db: { execute(sql: string): void }) =>
      db.execute("UPDATE documents SET value = json_set(value, '$.size', 5)"),
  };
  const migrations = [...MIGRATIONS, up];
  using migrated = Store.open({ dir, log, migrations });
  assert.equal(migrated.documents("machines", Machine).get("a")?.size, 5);
  const copy = new Database(join(dir, `store.db.v${LATEST}`));
  assert.match(JSON.stringify(copy.prepare("SELECT value FROM documents").all()), /size\\":1/);
  copy.close();
  assert.equal(statSync(join(dir, `store.db.v${LATEST}`)).mode & 0o777, 0o600);
  assert.throws(() => Store.open({ dir, log }), withCode("STATE_NEWER"));
});

test("a migration that fails leaves the old store, which still opens", (t) => {
  const dir = folder(t);
  const old = Store.open({ dir, log });
  old.documents("machines", Machine).put("a", { id: "a", size: 1 });
  old.close();
  const half = {
    version: LATEST + 1,
    up: (db: { execute(sql: string): void }) => {
      db.execute("DELETE FROM documents");
      db.execute("DELETE FROM nowhere");
    },
  };
  assert.throws(() => Store.open({ dir, log, migrations: [...MIGRATIONS, half] }), withCode("INTERNAL"));
  assert.equal(opened(t, dir).documents("machines", Machine).get("a")?.size, 1);
  assert.ok(existsSync(join(dir, `store.db.v${LATEST}`)));
});

test("a durable put takes a few milliseconds at most", (t) => {
  const machines = opened(t).documents("machines", z.strictObject({ text: z.string() }));
  const times: number[] = [];
  for (let i = 0; i < 200; i += 1) {
    const started = performance.now();
    machines.put(`id-${i}`, { text: `${"x".repeat(1000)}${i}` });
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`put: p50 ${times[100]?.toFixed(2)} ms, p99 ${times[198]?.toFixed(2)} ms`);
  assert.ok((times[100] ?? 0) < 50);
});
