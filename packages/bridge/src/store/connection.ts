import { DoorwardError, type ErrorCode } from "@doorward/contracts";
import Database from "libsql";

type Value = string | number;

/** One SQLite connection: durable commits, transactions that join, and errors in our words. */
export class Connection implements Disposable {
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();
  readonly #path: string;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
    this.#database = this.#guard(() => new Database(path, { timeout: 0 }));
    this.#guard(() => {
      // FULL syncs the log on every commit: what was acknowledged survives a crash of the machine, not only of us.
      for (const setting of ["journal_mode=WAL", "synchronous=FULL", "trusted_schema=OFF"]) {
        this.#database.prepare(`PRAGMA ${setting}`).all();
      }
    });
  }

  /** Runs one statement without parameters and drops its rows. */
  execute(sql: string): void {
    this.#guard(() => this.#database.exec(sql));
  }

  /** Runs a prepared statement; answers how many rows it changed. */
  run(sql: string, ...values: Value[]): number {
    return this.#guard(() => this.#statement(sql).run(...values).changes);
  }

  /** All rows of a query. Reading to the end also ends the statement, which would hold back checkpoints otherwise. */
  all(sql: string, ...values: Value[]): unknown[] {
    return this.#guard(() => this.#statement(sql).all(...values));
  }

  /** The single number that a pragma answers. */
  pragma(name: string): number {
    const [row] = this.all(`PRAGMA ${name}`);
    const value: unknown = typeof row === "object" && row !== null ? Object.values(row)[0] : undefined;
    if (typeof value === "number") return value;
    throw this.#error("STATE_INVALID", `pragma "${name}" has no number`, undefined);
  }

  /** Commits what `change` writes as one unit, or nothing of it. Inside another transaction it joins that one. */
  transaction<Result>(change: () => Result): Result {
    return this.#inTransaction() ? change() : this.#commit(change);
  }

  close(): void {
    if (this.#closed) return;
    // Statements are freed by the garbage collector, and libsql keeps the file open until then: the log is folded into
    // the file here, so that one left behind always tells of a crash.
    try {
      this.all("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // Nothing is lost: the next start reads the log.
    }
    this.#closed = true;
    this.#statements.clear();
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #commit<Result>(change: () => Result): Result {
    this.execute("BEGIN IMMEDIATE");
    try {
      const result = change();
      if (isPromise(result)) throw new TypeError("a transaction can't wait for a promise");
      this.execute("COMMIT");
      return result;
    } catch (error) {
      // Some failures, such as a full disk, have rolled back already.
      if (this.#inTransaction()) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #inTransaction(): boolean {
    return this.#database.inTransaction;
  }

  #statement(sql: string): Database.Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #guard<Result>(work: () => Result): Result {
    if (this.#closed) throw this.#error("BRIDGE_STOPPING", "it is closed", undefined);
    try {
      return work();
    } catch (cause) {
      const code = sqliteCode(cause);
      if (code === undefined || !(cause instanceof Error)) throw cause;
      throw this.#error(meaning(code), `${cause.message} (${code})`, cause);
    }
  }

  #error(code: ErrorCode, why: string, cause: unknown): DoorwardError {
    const message = `Cannot use store "${this.#path}": ${why}`;
    return new DoorwardError({ code, message, details: { path: this.#path }, cause });
  }
}

function isPromise(value: unknown): boolean {
  return value instanceof Promise;
}

function sqliteCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown) || typeof thrown.code !== "string") return undefined;
  return thrown.code.startsWith("SQLITE_") ? thrown.code : undefined;
}

/** Extended codes start with their primary one, e.g. SQLITE_IOERR_FSYNC. */
function meaning(code: string): ErrorCode {
  if (/^SQLITE_(?:CORRUPT|NOTADB|SCHEMA|FORMAT|IOERR_SHORT_READ|IOERR_CORRUPTFS|IOERR_DATA)/.test(code))
    return "STATE_INVALID";
  if (/^SQLITE_(?:FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|PERM)/.test(code)) return "STATE_UNWRITABLE";
  return "INTERNAL";
}
