// kills a process with SIGKILL while it begins and records things, and looks whether each has exactly one record:
// node --conditions=source --import tsx test/faults/in-flight-kill.ts [ROUNDS]
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { verifyEvidence } from "../../packages/bridge/src/evidence/index.ts";
import { openLog, temporary } from "../evidence/support.ts";

const BRIDGE_LOST_GRANT = "its connection ended with the bridge";

/** What a run of kills found. */
export interface InFlightResult {
  readonly rounds: number;
  readonly begun: number;
  /** Of them, those whose end nobody knows. */
  readonly lost: number;
  readonly sessions: number;
  /** Of them, those that a kill ended. */
  readonly cut: number;
  /** Grants of connections. */
  readonly grants: number;
  /** Of them, those that a kill ended. */
  readonly orphaned: number;
  /** Bytes of the file of notes when it was longest after a kill. */
  readonly longest: number;
}

/** Kills `rounds` times; throws when something that began has no record, two, or the wrong one. */
export async function killInFlight(rounds: number): Promise<InFlightResult> {
  await using folder = await temporary();
  const program = await bundleChild(folder.path);
  const told = new Map<string, Set<string>>();
  let longest = 0;
  for (let round = 0; round < rounds; round += 1) {
    // Some are killed while they record what the one before left.
    const soon = Math.random() < 0.2;
    for (const line of await runUntilKilled(program, folder.path, `r${String(round)}`, soon)) {
      const [what = "", id = ""] = line.split(" ");
      told.set(what, (told.get(what) ?? new Set()).add(id));
    }
    longest = Math.max(
      longest,
      statSync(join(folder.path, "in-flight"), { throwIfNoEntry: false })?.size ?? 0,
    );
  }
  assert.deepEqual(await runToItsEnd(program, folder.path), ["ready"]);
  assert.equal(statSync(join(folder.path, "in-flight")).size, 0);
  const found = await endsOf(folder.path);
  const of = (what: string): ReadonlySet<string> => told.get(what) ?? new Set();
  for (const id of [...of("begun"), ...of("opened"), ...of("minted")])
    assert.ok(found.has(id), `${id} began and has no end`);
  for (const [id, ends] of found) assert.equal(ends.length, 1, `${id}: ${ends.join()}`);
  for (const id of of("recorded")) assert.deepEqual(found.get(id), ["exited"], id);
  for (const id of [...of("closed"), ...of("revoked")]) assert.deepEqual(found.get(id), ["CLOSED"], id);
  const count = (end: string): number => [...found.values()].filter(([first]) => first === end).length;
  const [lost, cut, orphaned] = [count("bridge-lost"), count("BRIDGE_LOST"), count(BRIDGE_LOST_GRANT)];
  const [begun, sessions, grants] = [of("begun").size, of("opened").size, of("minted").size];
  return { rounds, begun, lost, sessions, cut, grants, orphaned, longest };
}

/** How commands, sessions and grants ended, by what they are; throws when the log does not verify, or one that opened has no end. */
async function endsOf(dir: string): Promise<Map<string, string[]>> {
  await using log = await openLog(dir);
  await log.checkpoint();
  const report = await verifyEvidence({ dir: join(dir, "log"), vkey: log.vkey });
  assert.deepEqual(report.problems, []);
  const [ends, opened] = [new Map<string, string[]>(), new Set<string>()];
  for (let index = 0; index < log.size; index += 1) {
    const { predicateType, predicate } = (await log.read(index)).statement;
    if (predicateType.includes("session-open") && "session" in predicate)
      opened.add(String(predicate.session));
    if (predicateType.includes("grant-minted")) opened.add(String(predicate.grant));
    const [id, end] = endOf(predicate) ?? [];
    if (id !== undefined && end !== undefined) ends.set(id, [...(ends.get(id) ?? []), end]);
  }
  const closed = [...ends.keys()].filter((id) => /^[sg]_/.test(id));
  assert.deepEqual(new Set(closed), opened);
  return ends;
}

/** What ended, and how; undefined for a record of something else. */
function endOf(predicate: object): readonly [string, string] | undefined {
  const { argvDigest, program, outcome, bytesIn, session, sessionsCut, grant, reason } = {
    ...predicate,
  } as Record<string, string | undefined>;
  if (argvDigest !== undefined && outcome !== undefined) return [program ?? "", outcome];
  if (reason === undefined) return undefined;
  if (bytesIn !== undefined) return [session ?? "", reason];
  return sessionsCut === undefined ? undefined : [grant ?? "", reason];
}

/** One plain file, as loading the sources would take longer than everything else. */
async function bundleChild(dir: string): Promise<string> {
  const outfile = join(dir, "in-flight-child.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("in-flight-child.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["source"],
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  return outfile;
}

/** Answers the whole lines that it told. */
async function runUntilKilled(
  program: string,
  dir: string,
  prefix: string,
  soon: boolean,
): Promise<string[]> {
  const lanes = String(1 + Math.floor(Math.random() * 60));
  const child = spawn(process.execPath, [program, dir, prefix, lanes], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = once(child, "close");
  if (soon) await delay(60 + Math.random() * 120);
  else await Promise.race([once(child.stdout, "data"), closed]);
  await delay(Math.random() * 250);
  child.kill("SIGKILL");
  await closed;
  assert.equal(child.signalCode, "SIGKILL", "it ended by itself");
  return Buffer.concat(chunks).toString("utf8").split("\n").slice(0, -1);
}

async function runToItsEnd(program: string, dir: string): Promise<string[]> {
  const child = spawn(process.execPath, [program, dir], { stdio: ["ignore", "pipe", "inherit"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(child, "close");
  return Buffer.concat(chunks).toString("utf8").split("\n").slice(0, -1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = Date.now();
  const result = await killInFlight(Number(process.argv[2] ?? 200));
  process.stdout.write(`${JSON.stringify({ ...result, seconds: (Date.now() - started) / 1000 })}\n`);
}
