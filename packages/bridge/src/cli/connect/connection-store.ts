import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DoorwardError, Duration, GrantId, MachineName, Timestamp } from "@doorward/contracts";
import * as z from "zod";
import { resolveFolders, writeDurably } from "../../state/index.ts";
import type { Cli } from "../cli.ts";
import { CONNECTION_KINDS, type ConnectionKind } from "./client-names.ts";
import type { Scope } from "./clients.ts";

/** What `connect --write` wrote, so that exactly that can be taken back. */
const Connection = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]{1,120}$/),
  client: z.enum(CONNECTION_KINDS),
  machine: MachineName,
  transport: z.enum(["stdio", "http", "ws"]),
  /** Null for a client without a file of its own. */
  place: z
    .strictObject({
      scope: z.enum(["user", "project"]),
      file: z.string().min(1).max(4096),
      path: z.array(z.string().min(1).max(200)).min(1).max(8),
      /** Digest of the entry as it was written. */
      entry: z.string().length(64),
      /** Whether the file was there before. */
      existed: z.boolean(),
      /** Whether the table that the entry is in was there before. */
      inTable: z.boolean(),
    })
    .nullable(),
  /** Null where no grant was made for it. */
  grant: z.strictObject({ id: GrantId, time: Duration, readOnly: z.boolean() }).nullable(),
  at: Timestamp,
});
export type Connection = z.infer<typeof Connection>;

/** Connections that this user's command wrote, in files that only this user reads. The bridge knows nothing of them. */
export class ConnectionStore {
  readonly #folder: string;

  constructor(env: Cli["env"]) {
    this.#folder = join(resolveFolders(env).state, "connections");
  }

  /** Id of the connection of a client, a machine and, for a project, its file. */
  static idOf(client: ConnectionKind, machine: string, scope: Scope, file: string | undefined): string {
    const place = createHash("sha256")
      .update(file ?? "")
      .digest("hex")
      .slice(0, 8);
    return scope === "project" ? `${client}-${machine}-${place}` : `${client}-${machine}`;
  }

  /** File for the token of a connection. */
  tokenFile(id: string): string {
    return join(this.#folder, `${id}.token`);
  }

  /** Program that prints the headers of a connection. */
  headersHelper(id: string): string {
    return join(this.#folder, `${id}.headers`);
  }

  find(id: string): Connection | undefined {
    const file = this.#file(id);
    return existsSync(file) ? parse(file) : undefined;
  }

  all(): readonly Connection[] {
    if (!existsSync(this.#folder)) return [];
    const files = readdirSync(this.#folder).filter((name) => name.endsWith(".json"));
    return files.sort().map((name) => parse(join(this.#folder, name)));
  }

  save(connection: Connection): void {
    this.write(this.#file(connection.id), `${JSON.stringify(Connection.parse(connection), null, 2)}\n`);
  }

  /** Puts one of the connection's files in place, closed to other users. */
  write(path: string, text: string): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeDurably(path, text);
  }

  /** The same for one that other programs of this user start. */
  writeProgram(path: string, text: string): void {
    this.write(path, text);
    chmodSync(path, 0o700);
  }

  delete(id: string): void {
    for (const path of [this.tokenFile(id), this.headersHelper(id), this.#file(id)])
      rmSync(path, { force: true });
  }

  #file(id: string): string {
    return join(this.#folder, `${id}.json`);
  }
}

/** A digest of an entry that is the same however its file is laid out. */
export function entryDigest(entry: unknown): string {
  return createHash("sha256")
    .update(ordered(entry ?? null))
    .digest("hex");
}

function ordered(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(ordered).join(",")}]`;
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${pairs.map(([key, one]) => `${JSON.stringify(key)}:${ordered(one)}`).join(",")}}`;
}

function parse(file: string): Connection {
  try {
    return Connection.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot read connection "${file}": it does not have the expected shape`,
      hint: `rm ${file}`,
      cause,
    });
  }
}
