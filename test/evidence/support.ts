import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { EvidenceInput } from "@doorward/contracts";
import { EvidenceLog, openEvidenceKey, type EvidenceKey } from "../../packages/bridge/src/evidence/index.ts";

/** Origin of the logs in tests. */
export const ORIGIN = "doorward.local/test";

/** A logger that says nothing. */
export const silent = pino({ level: "silent" });

/** Fields that every test record shares. */
export const common = {
  correlationId: "c_test",
  subject: "operator:tester",
  machine: { id: "m_aaaaaaaaaa", name: "demo" },
  grant: "g_aaaaaaaaaa",
  policyHash: `sha256:${"0".repeat(64)}`,
} as const;

/** A small record; `n` shows in it, and machine and grant vary with it. */
export function record(n: number): EvidenceInput {
  return {
    type: "session-close",
    ...common,
    machine: { id: `m_machine${String(n % 7).padStart(4, "0")}`, name: `demo-${String(n % 7)}` },
    grant: `g_grant${String(n % 50).padStart(6, "0")}`,
    session: "s_aaaaaaaaaa",
    door: "terminal",
    reason: "CLOSED",
    durationMs: n,
    bytesIn: 0,
    bytesOut: 0,
    exitCode: 0,
    transcript: null,
  };
}

/** A record that opens something: refused once only the reserve is left. */
export function opening(n: number): EvidenceInput {
  return {
    type: "bridge-start",
    ...common,
    version: String(n),
    previous: "clean",
    machinesAdopted: 0,
    machinesReaped: 0,
    grade: null,
  };
}

/** A folder that is removed afterwards. */
export async function temporary(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "doorward-evidence-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Opens the log `dir/log` with the key `dir/key.pem`. */
export async function openLog(dir: string, journalBytes?: number): Promise<EvidenceLog> {
  return EvidenceLog.open({
    dir: join(dir, "log"),
    key: await openEvidenceKey(join(dir, "key.pem")),
    origin: ORIGIN,
    log: silent,
    journalBytes,
  });
}

/** Appends records `from` to `to` (not included) at once. */
export async function appendMany(log: EvidenceLog, from: number, to: number): Promise<void> {
  await Promise.all(Array.from({ length: to - from }, (_, at) => log.append(record(from + at))));
}

/** The key of a test log. */
export function keyOf(dir: string): Promise<EvidenceKey> {
  return openEvidenceKey(join(dir, "key.pem"));
}
