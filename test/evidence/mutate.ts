// changes an exported log at random and looks whether verification notices:
// node --conditions=source --import tsx test/evidence/mutate.ts [MUTATIONS]
import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  addWitness,
  exportEvidence,
  openCheckpoint,
  parseVkey,
  seenLogs,
  verifyEvidence,
  vkeyLine,
  Witness,
  type EvidenceKey,
  type GivenWitness,
  type VerifyReport,
} from "../../packages/bridge/src/evidence/index.ts";
import { canonicalJson } from "../../packages/bridge/src/evidence/canonical.ts";
import { cosign } from "../../packages/bridge/src/evidence/cosignature.ts";
import { openEnvelope, signEnvelope } from "../../packages/bridge/src/evidence/dsse.ts";
import { createEvidenceKey } from "../../packages/bridge/src/evidence/key.ts";
import { noteVerifier } from "../../packages/bridge/src/evidence/signed-note.ts";
import { rebuild, readEntries } from "./rebuild.ts";
import { appendMany, common, keyOf, openLog, ORIGIN, temporary } from "./support.ts";

/** An exported log, what an auditor keeps of it, and keys: the log's own and a stranger's. */
interface Subject {
  readonly dir: string;
  readonly vkey: string;
  /** A checkpoint that was kept when the log was shorter. */
  readonly kept: string;
  /** Older published checkpoint, which anybody may have. */
  readonly older: string;
  readonly key: EvidenceKey;
  readonly stranger: EvidenceKey;
  /** A witness that cosigned the exported checkpoint, by its key and what it saw last. */
  readonly witness: GivenWitness;
}

type Mutation = (subject: Subject) => Promise<void>;

const WITNESS = "witness.example/w1";

/** Records under the checkpoint that the auditor keeps. */
const keptSize = 260;

/** Every kind of mutation, by name. `rollback` and `fork` can be told only from a kept checkpoint. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "flip a byte of any file": async ({ dir }) => changeBytes(await anyFile(dir), (bytes) => flip(bytes)),
  "cut a file": async ({ dir }) =>
    changeBytes(await anyFile(dir), (bytes) => bytes.subarray(0, below(bytes.length))),
  "add bytes to a file": async ({ dir }) =>
    changeBytes(await anyFile(dir), (bytes) => Buffer.concat([bytes, Buffer.of(below(256))])),
  "delete a file": async ({ dir }) => rm(await anyFile(dir)),
  "swap two files": async ({ dir }) => {
    const a = await anyFile(dir);
    let b = a;
    while (b === a) b = await anyFile(dir);
    const [bytesA, bytesB] = [await readFile(a), await readFile(b)];
    await writeFile(a, bytesB);
    await writeFile(b, bytesA);
  },
  "flip a byte of an entry, tiles rebuilt": (s) =>
    changeEntries(s, (entries) => replaceOne(entries, (entry) => flip(entry))),
  "edit a record without signing": (s) =>
    changeEntries(s, (entries) => replaceOne(entries, (entry) => reword(entry))),
  "edit a record, signed by a stranger": (s) =>
    changeEntries(s, (entries) => replaceOne(entries, (entry) => resign(entry, s.stranger))),
  "drop a record": (s) => changeEntries(s, (entries) => entries.toSpliced(pick(entries), 1)),
  "drop a record, checkpoint of a stranger": (s) =>
    changeEntries(s, (entries) => entries.toSpliced(pick(entries), 1), s.stranger),
  "reorder two records": (s) => changeEntries(s, swapTwo),
  "reorder two records, checkpoint signed by the log's key": (s) => changeEntries(s, swapTwo, s.key),
  "repeat a record": (s) =>
    changeEntries(s, (entries) => entries.toSpliced(pick(entries), 0, at(entries, pick(entries)))),
  "repeat a record at the end, checkpoint signed by the log's key": (s) =>
    changeEntries(s, (entries) => [...entries, at(entries, pick(entries))], s.key),
  "a key twice in an envelope, checkpoint signed by the log's key": (s) =>
    changeEntries(s, (entries) => replaceOne(entries, (entry) => twice(entry, '"payloadType":')), s.key),
  "a key twice in a signed payload": (s) =>
    changeEntries(s, (entries) => replaceOne(entries, (entry) => twiceInPayload(entry, s.key)), s.key),
  "spaces in a signed payload": (s) =>
    changeEntries(
      s,
      (entries) =>
        replaceOne(entries, (entry) =>
          signEnvelope(Buffer.from(JSON.stringify(statementOf(entry), null, 1)), [s.key]),
        ),
      s.key,
    ),
  "an unknown field in a signed record": (s) =>
    changeEntries(
      s,
      (entries) =>
        replaceOne(entries, (entry) =>
          signEnvelope(Buffer.from(canonicalJson({ ...statementOf(entry), extra: 1 })), [s.key]),
        ),
      s.key,
    ),
  "everything signed anew by a stranger": async (s) => {
    await changeEntries(
      s,
      (entries) => Promise.all(entries.map((entry) => resign(entry, s.stranger))),
      s.stranger,
    );
    await writeFile(join(s.dir, "key.vkey"), vkeyLine(noteVerifier(ORIGIN, s.stranger)));
  },
  "rollback to an older checkpoint": async ({ dir, older }) => writeFile(join(dir, "checkpoint"), older),
  "truncation, signed by the log's key": (s) =>
    changeEntries(s, (entries) => entries.slice(0, 1 + below(entries.length / 3)), s.key),
  "truncation behind the kept checkpoint, signed by the log's key": (s) =>
    changeEntries(s, (entries) => entries.slice(0, keptSize + below(entries.length - keptSize)), s.key),
  "fork behind the kept checkpoint, signed by the log's key": (s) =>
    changeEntries(
      s,
      async (entries) => {
        const late = keptSize + below(entries.length - keptSize);
        return entries.with(late, await resign(reword(at(entries, late)), s.key));
      },
      s.key,
    ),
  "a cosignature taken away": async ({ dir }) =>
    changeBytes(join(dir, "checkpoint"), (bytes) => lines(bytes, (all) => all.toSpliced(-2, 1))),
  "a cosignature of a stranger under the witness's name": async ({ dir, stranger }) => {
    const path = join(dir, "checkpoint");
    const { note } = openCheckpoint(await readFile(path, "utf8"));
    const line = await cosign(note.text, WITNESS, stranger);
    await changeBytes(path, (bytes) => lines(bytes, (all) => all.toSpliced(-2, 1, line.trimEnd())));
  },
  "a cosignature moved to another checkpoint, signed by the log's key": async (s) => {
    const [, cosignature = ""] = openCheckpoint(await readFile(join(s.dir, "checkpoint"), "utf8")).note.lines;
    await changeEntries(s, (entries) => entries.slice(0, -1), s.key);
    await changeBytes(join(s.dir, "checkpoint"), (bytes) =>
      Buffer.concat([bytes, Buffer.from(`${cosignature}\n`)]),
    );
  },
  "edit a proof": async ({ dir }) => {
    const names = await readdir(join(dir, "proofs"));
    await changeBytes(join(dir, "proofs", names[below(names.length)] ?? ""), (bytes) => flip(bytes));
  },
  "fork, signed by the log's key": (s) =>
    changeEntries(
      s,
      async (entries) => {
        const early = below(200);
        return entries.with(early, await resign(reword(at(entries, early)), s.key));
      },
      s.key,
    ),
};

/** Mutates copies of one exported log `count` times; returns the names of those that verification did not notice. */
export async function mutationRounds(
  count: number,
): Promise<{ readonly count: number; readonly missed: readonly string[] }> {
  await using folder = await temporary();
  const subject = await makeSubject(folder.path);
  const clean = await verify(subject);
  assert.deepEqual(clean.problems, [], "the unchanged log verifies");
  const names = Object.keys(MUTATIONS);
  const missed: string[] = [];
  for (let round = 0; round < count; round++) {
    const name = names[round % names.length] ?? "";
    const dir = join(folder.path, "mutated");
    await cp(subject.dir, dir, { recursive: true });
    await MUTATIONS[name]?.({ ...subject, dir });
    const report = await verify({ ...subject, dir });
    if (report.ok) missed.push(name);
    await rm(dir, { recursive: true });
  }
  return { count, missed };
}

async function makeSubject(dir: string): Promise<Subject> {
  const log = await openLog(dir);
  await appendMany(log, 0, 120);
  const older = await log.checkpoint();
  await appendMany(log, 120, keptSize);
  const kept = await log.checkpoint();
  await appendMany(log, keptSize, 300);
  const vkey = log.vkey;
  const witness = await Witness.init(join(dir, "witness"), WITNESS);
  await witness.trust(vkey);
  await addWitness(dir, { vkey: witness.vkey, folder: witness.dir });
  await log.witness();
  const [seen] = await seenLogs(witness.dir);
  await log[Symbol.asyncDispose]();
  const out = join(dir, "export");
  await exportEvidence({ dir: join(dir, "log"), out, older: [older, kept] });
  // what says nothing about the log itself; the cosignature stands in the checkpoint too
  for (const name of ["README.md", "key.vkey", "key.pem", "witness"])
    await rm(join(out, name), { recursive: true });
  return {
    dir: out,
    vkey,
    kept,
    older,
    key: await keyOf(dir),
    stranger: await createEvidenceKey(join(dir, "stranger.pem")),
    witness: { vkey: witness.vkey, seen: seen?.checkpoint ?? undefined },
  };
}

function verify({ dir, vkey, kept, witness }: Subject): Promise<VerifyReport> {
  parseVkey(vkey);
  return verifyEvidence({ dir, vkey, checkpoint: kept, witnesses: [witness] });
}

/** Rewrites the entries and rebuilds every tile; the checkpoint stays unless a key signs a new one. */
async function changeEntries(
  { dir }: Subject,
  change: (entries: readonly Buffer[]) => readonly Buffer[] | Promise<readonly Buffer[]>,
  key: EvidenceKey | null = null,
): Promise<void> {
  await rebuild(dir, await change(await readEntries(dir)), key);
}

async function replaceOne(
  entries: readonly Buffer[],
  change: (entry: Buffer) => Buffer | Promise<Buffer>,
): Promise<readonly Buffer[]> {
  const index = pick(entries);
  return entries.with(index, await change(at(entries, index)));
}

function statementOf(entry: Buffer): Record<string, unknown> {
  return JSON.parse(openEnvelope(entry).payload.toString("utf8")) as Record<string, unknown>;
}

function reword(entry: Buffer): Buffer {
  const { payload, signatures } = openEnvelope(entry);
  const text = payload.toString("utf8").replace(common.subject, "operator:mallory");
  const [signature] = signatures;
  return Buffer.from(
    canonicalJson({
      payload: Buffer.from(text).toString("base64"),
      payloadType: "application/vnd.in-toto+json",
      signatures: [{ keyid: signature?.keyId, sig: signature?.signature.toString("base64") }],
    }),
  );
}

function resign(entry: Buffer, key: EvidenceKey): Promise<Buffer> {
  return signEnvelope(openEnvelope(entry).payload, [key]);
}

function twice(entry: Buffer, key: string): Buffer {
  const text = entry.toString("utf8");
  const start = text.indexOf(key);
  return Buffer.from(`${text.slice(0, start)}${key}"application/x-other",${text.slice(start)}`);
}

function twiceInPayload(entry: Buffer, key: EvidenceKey): Promise<Buffer> {
  const text = openEnvelope(entry).payload.toString("utf8");
  return signEnvelope(
    Buffer.from(
      text.replace(
        '"predicateType":',
        '"predicateType":"https://doorward.dev/evidence/launch/v1","predicateType":',
      ),
    ),
    [key],
  );
}

function swapTwo(entries: readonly Buffer[]): readonly Buffer[] {
  const first = pick(entries);
  const second = (first + 1 + below(entries.length - 1)) % entries.length;
  return entries.with(first, at(entries, second)).with(second, at(entries, first));
}

async function anyFile(dir: string): Promise<string> {
  // a proof that is gone says nothing about the log; changed ones have a mutation of their own
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter(
    (file) => file.isFile() && !file.parentPath.endsWith("proofs"),
  );
  const file = files[below(files.length)];
  assert.ok(file !== undefined);
  return join(file.parentPath, file.name);
}

async function changeBytes(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await writeFile(path, change(await readFile(path)));
}

function flip(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const index = below(copy.length);
  copy[index] = (copy[index] ?? 0) ^ (1 << below(8));
  return copy;
}

function lines(bytes: Buffer, change: (all: string[]) => string[]): Buffer {
  return Buffer.from(change(bytes.toString("utf8").split("\n")).join("\n"));
}

function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}

function pick(entries: readonly Buffer[]): number {
  return below(entries.length);
}

function at(entries: readonly Buffer[], index: number): Buffer {
  const entry = entries[index];
  assert.ok(entry !== undefined);
  return entry;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = Date.now();
  const { count, missed } = await mutationRounds(Number(process.argv[2] ?? 1000));
  process.stdout.write(`${JSON.stringify({ count, missed, seconds: (Date.now() - started) / 1000 })}\n`);
  if (missed.length > 0) process.exitCode = 1;
}
