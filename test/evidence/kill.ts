// kills a process with SIGKILL while it appends, again and again, and looks whether anything acknowledged is lost:
// node --conditions=source --import tsx test/evidence/kill.ts [ROUNDS]
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { verifyEvidence } from "../../packages/bridge/src/evidence/index.ts";
import { openLog, temporary } from "./support.ts";

/** What a run of kills found. */
export interface KillResult {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly size: number;
}

/** Kills an appending process `rounds` times; throws when an acknowledged record is lost or the log does not verify. */
export async function killRounds(rounds: number): Promise<KillResult> {
  await using folder = await temporary();
  const program = await bundleChild(folder.path);
  let acknowledged = 0;
  let size = 0;
  let checkpoint: string | undefined;
  for (let round = 0; round < rounds; round++) {
    const lines = await appendUntilKilled(program, folder.path);
    acknowledged += lines.length;
    await using log = await openLog(folder.path);
    for (const line of sample(lines)) {
      const [index, recordId, leafHash] = line.split(" ");
      const entry = await log.read(Number(index));
      assert.deepEqual(
        [entry.recordId, entry.leafHash],
        [recordId, leafHash],
        `record ${String(index)} of round ${String(round)} changed`,
      );
    }
    assert.ok(
      log.size >= Math.max(size, ...lines.map((line) => Number(line.split(" ")[0]) + 1)),
      "records are missing",
    );
    size = log.size;
    const newest = await log.checkpoint();
    const report = await verifyEvidence({
      dir: join(folder.path, "log"),
      vkey: log.vkey,
      checkpoint,
      records: round % 20 === 19 || round === rounds - 1,
    });
    assert.deepEqual(report.problems, [], `round ${String(round)} does not verify`);
    assert.equal(report.size, size);
    checkpoint = newest;
  }
  return { rounds, acknowledged, size };
}

/** One plain file, as loading the sources would take longer than all the appending. */
async function bundleChild(dir: string): Promise<string> {
  const outfile = join(dir, "kill-child.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("kill-child.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["source"],
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  return outfile;
}

async function appendUntilKilled(program: string, dir: string): Promise<string[]> {
  const lanes = String(1 + Math.floor(Math.random() * 200));
  const journalBytes = String(20_000 + Math.floor(Math.random() * 600_000));
  const child = spawn(process.execPath, [program, dir, lanes, journalBytes], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = once(child, "close");
  await Promise.race([once(child.stdout, "data"), closed]);
  await delay(Math.random() * 250);
  child.kill("SIGKILL");
  await closed;
  const text = Buffer.concat(chunks).toString("utf8");
  // the last line may be cut
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .slice(1, -1);
}

/** All of a few, some of many; always the newest. */
function sample(lines: readonly string[]): string[] {
  return lines.filter((_, at) => lines.length - at <= 200 || at % 20 === 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = Date.now();
  const result = await killRounds(Number(process.argv[2] ?? 200));
  process.stdout.write(`${JSON.stringify({ ...result, seconds: (Date.now() - started) / 1000 })}\n`);
}
