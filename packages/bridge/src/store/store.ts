import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import * as z from "zod";
import { syncFolder } from "../state/durable-file.ts";
import { Connection } from "./connection.ts";
import { SqlDocuments, type Documents } from "./documents.ts";
import { MIGRATIONS, type Migration } from "./migrations.ts";

/** What a store is opened with. */
export interface StoreOptions {
  /** The state folder, locked by this bridge. */
  readonly dir: string;
  readonly log: Logger;
  readonly migrations?: readonly Migration[];
}

const FILE = "store.db";

/** The bridge's embedded store: typed documents in one SQLite file. */
export class Store implements Disposable {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Opens or creates the store; older ones are copied and migrated, newer ones refused (STATE_NEWER). */
  static open({ dir, log, migrations = MIGRATIONS }: StoreOptions): Store {
    const path = join(dir, FILE);
    const unclean = sizeOf(`${path}-wal`) > 0;
    createPrivate(path);
    const connection = new Connection(path);
    try {
      if (unclean) checkPages(connection, path, log);
      migrate(connection, path, migrations, log);
      return new Store(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** The documents of one collection; one schema per collection name. */
  documents<Document>(collection: string, schema: z.ZodType<Document>): Documents<Document> {
    return new SqlDocuments(this.#connection, collection, schema);
  }

  /** Commits what `change` writes to any collection as one unit, or nothing of it. */
  transaction<Result>(change: () => Result): Result {
    return this.#connection.transaction(change);
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** SQLite gives its side files the mode of the main one, so that one is made first. */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot open store "${path}": ${why}`;
    throw new DoorwardError({ code: "STATE_UNWRITABLE", message, details: { path }, cause });
  }
}

const Check = z.array(z.object({ quick_check: z.string() }));

/** After a crash the pages are looked through once; a log left behind is how a crash shows. */
function checkPages(connection: Connection, path: string, log: Logger): void {
  const started = performance.now();
  const found = Check.parse(connection.all("PRAGMA quick_check(5)")).map((row) => row.quick_check);
  if (found.join() !== "ok") {
    throw new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot open store "${path}": it is damaged: ${found.join("; ")}`,
      hint: `ls -l '${path}'.v*`,
      details: { path },
    });
  }
  log.info({ path, tookMs: Math.round(performance.now() - started) }, "store recovered after an unclean end");
}

function migrate(connection: Connection, path: string, migrations: readonly Migration[], log: Logger): void {
  const from = connection.pragma("user_version");
  const to = migrations.at(-1)?.version ?? 0;
  if (from > to) {
    throw new DoorwardError({
      code: "STATE_NEWER",
      message: `Cannot open store "${path}": its version is ${from}, this Doorward knows up to ${to}`,
      hint: "npm install --global doorward",
      details: { path, version: from, known: to },
    });
  }
  if (from === to) return;
  if (from > 0) copy(connection, `${path}.v${from}`, log);
  connection.transaction(() => {
    for (const step of migrations.filter(({ version }) => version > from)) step.up(connection);
    connection.execute(`PRAGMA user_version = ${to}`);
  });
  log.info({ path, from, to }, "store migrated");
}

/** A complete copy, under its final name only once it is. */
function copy(connection: Connection, target: string, log: Logger): void {
  const draft = `${target}.new`;
  rmSync(draft, { force: true });
  createPrivate(draft);
  connection.run("VACUUM INTO ?", draft);
  const file = openSync(draft, "r+");
  try {
    // SQLite does not sync the target of VACUUM INTO.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, target);
  syncFolder(join(target, ".."));
  log.info({ copy: target }, "store copied before migration");
}
