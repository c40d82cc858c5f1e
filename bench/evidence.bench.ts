import { mkdtemp, open, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import pino from "pino";
import type * as Evidence from "../packages/bridge/src/evidence/index.ts";
import type { BenchPart } from "./lib/row.ts";

/** What is built is measured: from its source, every thread of a verification translates TypeScript before it begins. */
const built = new URL("../packages/bridge/dist/evidence/index.js", import.meta.url).href;
const { EvidenceLog, openEvidenceKey, verifyEvidence } = (await import(built)) as typeof Evidence;

/** One measured row. */
export interface EvidenceBenchRow {
  readonly name: string;
  readonly unit: "ms" | "s" | "records/s" | "ratio";
  /** Median where there are several samples. */
  readonly value: number;
  readonly p99?: number;
  /** What the design asks for. */
  readonly reach: string;
  /** The same work without us, measured in the same run. */
  readonly beside?: { readonly name: string; readonly value: number };
}

/** Evidence as a part of the bench; what was reached is judged here, where the numbers are. */
export const evidencePart: BenchPart = {
  id: "evidence",
  title: "evidence",
  async run(bench) {
    bench.say("evidence: append and verify");
    const rows = await evidenceBench(bench.pick({ quick: 20_000, normal: 100_000, full: 1_000_000 }));
    return rows.map(({ beside, ...row }) => ({
      ...row,
      met: reached(row.value, row.reach, beside?.value),
      beside: beside === undefined ? [] : [beside],
    }));
  },
};

/** Judges `<= 3`, `>= 10000` and `>= 0.8 of raw`. */
function reached(value: number, reach: string, raw: number | undefined): boolean | null {
  const [, direction, limit, part] = /([<>]=) ([\d.]+)( of raw)?$/.exec(reach) ?? [];
  if (limit === undefined || (part !== undefined && raw === undefined)) return null;
  const bound = Number(limit) * (part === undefined ? 1 : (raw ?? 1));
  return direction === "<=" ? value <= bound : value >= bound;
}

/** Measures evidence: append alone and grouped, verify of `records` records. Beside: a bare write with fdatasync, raw Ed25519. */
export async function evidenceBench(records = 100_000): Promise<EvidenceBenchRow[]> {
  const dir = await mkdtemp(join(tmpdir(), "doorward-bench-"));
  try {
    const key = await openEvidenceKey(join(dir, "key.pem"));
    const log = await EvidenceLog.open({
      dir: join(dir, "log"),
      key,
      origin: "doorward.local/bench",
      log: pino({ level: "silent" }),
    });
    const rows = [await appendAlone(dir, log), await appendGrouped(log, records)];
    const { vkey } = log;
    await log[Symbol.asyncDispose]();
    return [...rows, ...(await verifyRows(log.dir, vkey, records))];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function appendAlone(dir: string, log: Evidence.EvidenceLog): Promise<EvidenceBenchRow> {
  const ours = await samples(300, (n) => log.append(record(n)));
  await using file = await open(join(dir, "bare"), "w");
  const bytes = Buffer.alloc(1300, 1);
  const bare = await samples(300, async () => {
    await file.write(bytes);
    await file.datasync();
  });
  const beside = { name: "write and fdatasync of 1,300 bytes", value: quantile(bare, 0.5) };
  return {
    name: "evidence append, alone",
    unit: "ms",
    value: quantile(ours, 0.5),
    p99: quantile(ours, 0.99),
    reach: "p50 <= 3",
    beside,
  };
}

async function appendGrouped(log: Evidence.EvidenceLog, records: number): Promise<EvidenceBenchRow> {
  let left = records - log.size;
  const count = left;
  const started = performance.now();
  const lane = async () => {
    while (left-- > 0) await log.append(record(left));
  };
  await Promise.all(Array.from({ length: 1000 }, lane));
  const value = count / ((performance.now() - started) / 1000);
  return { name: "evidence append, 1,000 callers at once", unit: "records/s", value, reach: ">= 10000" };
}

async function verifyRows(dir: string, vkey: string, records: number): Promise<EvidenceBenchRow[]> {
  const raw = await rawVerifications();
  const tree = await timed(() => verifyEvidence({ dir, vkey, records: false }));
  const full = await timed(() => verifyEvidence({ dir, vkey }));
  const rawAfter = await rawVerifications();
  const rate = records / full;
  const beside = {
    name: `raw Ed25519 verifications a second, ${String(availableParallelism())} cores`,
    value: (raw + rawAfter) / 2,
  };
  return [
    {
      name: `evidence verify, tree of ${String(records)}`,
      unit: "s",
      value: tree,
      reach: `<= ${String(records / 100_000)}`,
    },
    {
      name: `evidence verify, every signature of ${String(records)}`,
      unit: "records/s",
      value: rate,
      reach: ">= 0.8 of raw",
      beside,
    },
    {
      name: "evidence verify, of the cores' raw rate",
      unit: "ratio",
      value: rate / beside.value,
      reach: ">= 0.8",
    },
  ];
}

async function timed(run: () => Promise<{ readonly ok: boolean }>): Promise<number> {
  const started = performance.now();
  const { ok } = await run();
  if (!ok) throw new Error("The bench's own log does not verify");
  return (performance.now() - started) / 1000;
}

/** Verifications a second on all cores, each core on its own thread. */
async function rawVerifications(): Promise<number> {
  const code = `const { parentPort } = require("node:worker_threads"); (${rawLoop.toString()})().then((rate) => parentPort.postMessage(rate));`;
  const rates = await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      const worker = new Worker(code, { eval: true });
      const rate = await new Promise<number>((resolve, reject) => {
        worker.once("message", resolve).once("error", reject);
      });
      await worker.terminate();
      return rate;
    }),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

/** Each message with a signature of its own: over one and the same, a processor learns the branches of the arithmetic. */
async function rawLoop(): Promise<number> {
  const crypto = await import("node:crypto");
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ed25519");
  const signed = Array.from({ length: 4096 }, (_, n) => {
    const data = Buffer.alloc(760, `${String(n)} `);
    return { data, signature: crypto.sign(null, data, privateKey) };
  });
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < 2000)
    for (const { data, signature } of signed.slice(count % 4096, (count % 4096) + 128)) {
      crypto.verify(null, data, publicKey, signature);
      count++;
    }
  return count / ((performance.now() - started) / 1000);
}

async function samples(count: number, run: (n: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const started = performance.now();
    await run(n);
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b);
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function record(n: number) {
  return {
    type: "session-close",
    correlationId: `c_${String(n)}`,
    subject: "agent:bench:1",
    machine: { id: "m_aaaaaaaaaa", name: "bench" },
    grant: `g_bench${String(n % 100).padStart(6, "0")}`,
    policyHash: `sha256:${"0".repeat(64)}`,
    session: "s_aaaaaaaaaa",
    door: "terminal",
    reason: "CLOSED",
    durationMs: n,
    bytesIn: 10,
    bytesOut: 1000,
    exitCode: 0,
    transcript: null,
  } as const;
}
