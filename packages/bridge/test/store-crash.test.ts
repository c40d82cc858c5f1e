import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { pino } from "pino";
import * as z from "zod";
import { Store } from "../src/store/index.ts";

const ROUNDS = Number(process.env["DOORWARD_KILL_ROUNDS"] ?? 20);
const LANES = 4;
const SOURCE = fileURLToPath(new URL("./store-crash-writer.ts", import.meta.url));

/** Bundles the writer, so that a kill costs a start of plain Node; the native module stays where it is. */
function bundleWriter(dir: string): string {
  const outfile = join(dir, "writer.cjs");
  const libsql = createRequire(import.meta.url).resolve("libsql");
  const common = { bundle: true, platform: "node", format: "cjs" } as const;
  buildSync({
    ...common,
    conditions: ["source"],
    entryPoints: [SOURCE],
    outfile,
    alias: { libsql },
    external: [libsql],
  });
  return outfile;
}

/** Lets a writer run until some moment after its first acknowledgement, kills it, answers what it acknowledged. */
async function killedWriter(writer: string, dir: string, prefix: string): Promise<string[]> {
  const child = spawn(process.execPath, [writer, dir, prefix], { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await once(child.stdout, "data");
  await sleep(Math.random() * 150);
  child.kill("SIGKILL");
  await once(child, "close");
  return printed.split("\n").slice(0, -1);
}

async function lane(writer: string, dir: string, rounds: number): Promise<number> {
  const acknowledged: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    acknowledged.push(...(await killedWriter(writer, dir, `r${round}`)));
    using store = Store.open({ dir, log: pino({ level: "silent" }) });
    const document = z.strictObject({ id: z.string(), text: z.string().optional() });
    const left = new Set(
      store
        .documents("left", document)
        .list()
        .map(({ id }) => id),
    );
    const right = new Set(
      store
        .documents("right", document)
        .list()
        .map(({ id }) => id),
    );
    assert.deepEqual([...left].sort(), [...right].sort(), "half a transaction was kept");
    for (const id of acknowledged) assert.ok(left.has(id), `"${id}" was acknowledged and is missing`);
  }
  return acknowledged.length;
}

test(
  `nothing acknowledged is missing after ${ROUNDS} kills at random moments`,
  { timeout: 600_000 },
  async (t) => {
    const dirs = Array.from({ length: LANES }, () => mkdtempSync(join(tmpdir(), "doorward-store-")));
    t.after(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));
    const writer = bundleWriter(dirs[0] ?? "");
    const counts = await Promise.all(dirs.map((dir) => lane(writer, dir, Math.ceil(ROUNDS / LANES))));
    const total = counts.reduce((sum, count) => sum + count, 0);
    t.diagnostic(`${total} acknowledged transactions survived`);
    assert.ok(total >= ROUNDS);
  },
);
