import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import type { Connection } from "./connection.ts";

/** Typed documents of one collection. Every read is parsed by the collection's schema (STATE_INVALID). */
export interface Documents<Document> {
  get(id: string): Document | undefined;
  /** Durable when it returns. */
  put(id: string, document: Document): void;
  /** Whether there was one. */
  delete(id: string): boolean;
  /** All documents, in the order of their ids. */
  list(): readonly Document[];
  /** What `change` puts and deletes, here and in other collections, is kept as one unit or not at all. */
  transaction<Result>(change: () => Result): Result;
}

const Row = z.object({ id: z.string(), value: z.string() });

const READ = "SELECT id, value FROM documents WHERE collection = ? AND id = ?";
const LIST = "SELECT id, value FROM documents WHERE collection = ? ORDER BY id";
const DELETE = "DELETE FROM documents WHERE collection = ? AND id = ?";
const WRITE = `INSERT INTO documents (collection, id, value) VALUES (?, ?, ?)
  ON CONFLICT (collection, id) DO UPDATE SET value = excluded.value`;

/** Documents of one collection, kept as JSON in the store's table. */
export class SqlDocuments<Document> implements Documents<Document> {
  readonly #connection: Connection;
  readonly #collection: string;
  readonly #schema: z.ZodType<Document>;

  constructor(connection: Connection, collection: string, schema: z.ZodType<Document>) {
    this.#connection = connection;
    this.#collection = collection;
    this.#schema = schema;
  }

  get(id: string): Document | undefined {
    const [row] = this.#connection.all(READ, this.#collection, id);
    return row === undefined ? undefined : this.#parse(row);
  }

  put(id: string, document: Document): void {
    const checked = this.#schema.safeParse(document);
    if (!checked.success) throw this.#invalid("write", id, checked.error);
    this.#connection.run(WRITE, this.#collection, id, JSON.stringify(checked.data));
  }

  delete(id: string): boolean {
    return this.#connection.run(DELETE, this.#collection, id) > 0;
  }

  list(): readonly Document[] {
    return this.#connection.all(LIST, this.#collection).map((row) => this.#parse(row));
  }

  transaction<Result>(change: () => Result): Result {
    return this.#connection.transaction(change);
  }

  #parse(row: unknown): Document {
    const { id, value } = Row.parse(row);
    const parsed = this.#schema.safeParse(json(value));
    if (parsed.success) return parsed.data;
    throw this.#invalid("read", id, parsed.error);
  }

  #invalid(doing: "read" | "write", id: string, error: z.ZodError): DoorwardError {
    const [issue] = error.issues;
    const field = issue === undefined || issue.path.length === 0 ? "(all)" : issue.path.join(".");
    return new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot ${doing} "${id}" of "${this.#collection}": field "${field}": ${issue?.message ?? "invalid"}`,
      details: { table: this.#collection, id, field },
      cause: error,
    });
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
