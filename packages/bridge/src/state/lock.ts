import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import type { Database } from "libsql";
import * as z from "zod";
import { writeDurably } from "./durable-file.ts";
import type { Folders } from "@doorward/client/operator";

const LOCK = "bridge.lock";
const HOLDER = "bridge.pid";
const Holder = z.strictObject({ pid: z.int().min(1), startedAt: z.iso.datetime() });

/** A held lock; disposing it twice is harmless. */
export interface StateLock extends Disposable {
  readonly pid: number;
}

/**
 * Takes this installation for one bridge, or throws BRIDGE_RUNNING with the holder's pid. The state folder is locked,
 * and the runtime folder too: two state folders that share one would take each other's sockets away.
 *
 * Each lock is SQLite's exclusive lock on an empty database, which is an fcntl lock: the kernel drops it with the
 * process however that ends, and child processes don't inherit it (they would inherit flock's). Nothing else may open
 * that file in this process, since closing any descriptor of it would drop the lock.
 */
export async function lockState(folders: Pick<Folders, "state" | "runtime">): Promise<StateLock> {
  const held: Database[] = [];
  try {
    for (const folder of new Set([folders.state, folders.runtime])) held.push(await lockFolder(folder));
  } catch (error) {
    release(held);
    throw error;
  }
  return { pid: process.pid, [Symbol.dispose]: () => release(held) };
}

/** Pid of the bridge that holds a state folder, as it wrote it; undefined when that process is gone. */
export function lockHolder(folder: string): number | undefined {
  try {
    const { pid } = Holder.parse(JSON.parse(readFileSync(join(folder, HOLDER), "utf8")));
    process.kill(pid, 0);
    return isZombie(pid) ? undefined : pid;
  } catch {
    return undefined;
  }
}

/** An ended process that nobody has waited for yet; it holds nothing any more. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")")).startsWith(") Z");
  } catch {
    return false;
  }
}

async function lockFolder(folder: string): Promise<Database> {
  const path = join(folder, LOCK);
  createEmpty(path);
  // Loaded here, so that commands which only look for the folders don't load a native module.
  const { default: Sqlite } = await import("libsql");
  const database = new Sqlite(path, { timeout: 0 });
  try {
    // A journal on disk would need room there, and nothing is ever written that it could undo.
    database.prepare("PRAGMA journal_mode=MEMORY").all();
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    throw isBusy(cause) ? await taken(folder, cause) : unusable(path, cause);
  }
  nameHolder(folder);
  return database;
}

/** For those who are refused and want to know by whom; a full disk must not keep the operator from his bridge. */
function nameHolder(folder: string): void {
  const path = join(folder, HOLDER);
  const holder = { pid: process.pid, startedAt: new Date().toISOString() };
  try {
    writeDurably(path, `${JSON.stringify(holder)}\n`);
  } catch (cause) {
    if (!isFull(cause)) throw cause;
    // The pid of the bridge before may be that of another process by now.
    rmSync(path, { force: true });
  }
}

function isFull(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT");
}

/** Never opens a file that exists: closing it again would drop a lock that this process holds. */
function createEmpty(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw unusable(path, cause);
  }
}

function isBusy(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && String(cause.code).startsWith("SQLITE_BUSY");
}

/** A holder that has just won the race is given a moment to write its pid. */
async function taken(folder: string, cause: unknown): Promise<DoorwardError> {
  let pid = lockHolder(folder);
  for (let tries = 0; pid === undefined && tries < 20; tries += 1) {
    await sleep(10);
    pid = lockHolder(folder);
  }
  const who = pid === undefined ? "another process" : `pid ${pid}`;
  return new DoorwardError({
    code: "BRIDGE_RUNNING",
    message: `Cannot start the bridge: ${who} holds folder "${folder}"`,
    hint: "doorward bridge status",
    details: { folder, pid: pid ?? null },
    cause,
  });
}

function unusable(path: string, cause: unknown): DoorwardError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DoorwardError({
    code: "STATE_UNWRITABLE",
    message: `Cannot lock "${path}": ${why}`,
    details: { path },
    cause,
  });
}

function release(held: Database[]): void {
  for (const database of held.splice(0).reverse()) {
    database.exec("ROLLBACK");
    database.close();
  }
}
