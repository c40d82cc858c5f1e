import { copyFile, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DoorwardError, predicateTypeOf, type Reference } from "@doorward/contracts";
import { openCheckpoint } from "./checkpoint.ts";
import { openEnvelope } from "./dsse.ts";
import { AUDITOR_README } from "./export-readme.ts";
import { makeFolder, replaceFile, syncFolder } from "./files.ts";
import { isMissing } from "./key.ts";
import { LogFiles } from "./log-files.ts";
import { TILE_WIDTH } from "./merkle.ts";
import { proveInclusion, tlogProof } from "./prove.ts";
import { REFERENCED, REFERENCE_MARK, referencedName, referencedParent, referencesIn } from "./referenced.ts";
import { parseVkey } from "./signed-note.ts";
import { encodeEntries, tilePath } from "./tiles.ts";
import { consistencyText } from "./verify-proofs.ts";

/** What to export, and where to. */
export interface ExportOptions {
  /** Folder of the log; a running bridge may go on appending. */
  readonly dir: string;
  /** Folder that is empty or not there yet. */
  readonly out: string;
  /** Texts of older checkpoints of this log, kept before; the bundle gets a proof that it extends each. */
  readonly older?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What was exported. */
export interface Exported {
  readonly out: string;
  readonly size: number;
  readonly origin: string;
  readonly vkey: string;
  /** Files that records refer to, and how many of them were there to copy. */
  readonly referenced: number;
  readonly copied: number;
  /** Inclusion and consistency proofs. */
  readonly proofs: number;
}

/** The newest launch records get an inclusion proof in the bundle; for any other there is `prove`. */
const provenLaunches = 20;

/** Then a log is exported whose key and checkpoint do not belong together; `verify` says so. */
const pairTries = 20;

/** Writes a self-contained bundle for an auditor: checkpoint, tiles, entries, keys, witnesses, proofs, referenced files and a README. */
export async function exportEvidence({ dir, out, older = [], signal }: ExportOptions): Promise<Exported> {
  await claimEmpty(out);
  const files = new LogFiles(dir);
  const witnessed = await copyWitnesses(dir, out);
  const { vkey, checkpoint } = await keyAndCheckpoint(files);
  const text = withCosignatures(checkpoint, witnessed);
  const { origin, size } = openCheckpoint(text);
  const content = new ContentScan();
  for await (const { path, bytes, entries } of publicFiles(files, size)) {
    signal?.throwIfAborted();
    await write(out, path, bytes);
    if (entries !== undefined) content.add(entries);
  }
  await write(out, "key.vkey", Buffer.from(`${vkey}\n`));
  await write(out, "key.pem", Buffer.from(parseVkey(vkey).publicKey.export({ format: "pem", type: "spki" })));
  await write(out, "README.md", Buffer.from(AUDITOR_README));
  const copied = await copyReferenced(await referencedParent(dir), out, content.referenced, signal);
  // last but for proofs, so that an export that was cut short is not taken for a whole one
  await write(out, "checkpoint", Buffer.from(text));
  const proofs = await writeProofs(out, content.launches.slice(-provenLaunches), [...older, ...witnessed]);
  await syncFolder(out);
  return { out, size, origin, vkey, referenced: content.referenced.size, copied, proofs };
}

/** A checkpoint and the key that signed it: after a rotation the bridge replaces one after the other. */
async function keyAndCheckpoint(files: LogFiles): Promise<{ vkey: string; checkpoint: string }> {
  for (let tries = 1; ; tries++) {
    const vkey = (await readFile(join(files.dir, "key.vkey"), "utf8")).trim();
    const checkpoint = await files.checkpoint();
    const { hash } = parseVkey(vkey);
    const { signatures } = openCheckpoint(checkpoint).note;
    if (tries === pairTries || signatures.some((each) => each.hash.equals(hash))) return { vkey, checkpoint };
    await delay(50);
  }
}

/** What an export must know of the records: which refer to files, and which are launches. */
class ContentScan {
  readonly referenced = new Map<string, Reference>();
  readonly launches: number[] = [];
  #index = 0;

  add(entries: readonly Buffer[]): void {
    for (const leaf of entries) {
      const { payload } = openEnvelope(leaf);
      if (payload.includes(launchMark)) this.launches.push(this.#index);
      if (payload.includes(REFERENCE_MARK))
        for (const reference of referencesIn(JSON.parse(payload.toString("utf8"))))
          this.referenced.set(reference.digest, reference);
      this.#index++;
    }
  }
}

const launchMark = `,"predicateType":"${predicateTypeOf("launch")}"`;

async function writeProofs(
  out: string,
  launches: readonly number[],
  older: readonly string[],
): Promise<number> {
  const files = new LogFiles(out);
  for (const index of launches)
    await write(
      out,
      `proofs/record-${String(index)}.tlog-proof`,
      Buffer.from(tlogProof(await proveInclusion(files, index))),
    );
  const { size } = openCheckpoint(await files.checkpoint());
  let count = launches.length;
  for (const checkpoint of older) {
    const { size: from } = openCheckpoint(checkpoint);
    if (from === 0 || from > size) continue;
    const name = `proofs/consistency-${String(from)}-${String(size)}.json`;
    await write(out, name, Buffer.from(await consistencyText(files, from, checkpoint)));
    count++;
  }
  return count;
}

/** Copies what witnesses cosigned and their keys; returns the checkpoints. */
async function copyWitnesses(dir: string, out: string): Promise<string[]> {
  const names = await readdir(join(dir, "witness")).catch(() => []);
  const checkpoints: string[] = [];
  for (const name of names.filter((each) => /^[0-9a-f]{8}\.(?:checkpoint|vkey)$/.test(each))) {
    const bytes = await readFile(join(dir, "witness", name));
    await write(out, `witness/${name}`, bytes);
    if (name.endsWith(".checkpoint")) checkpoints.push(bytes.toString("utf8"));
  }
  return checkpoints;
}

/** A checkpoint with every cosignature that was given for exactly this one. */
function withCosignatures(text: string, witnessed: readonly string[]): string {
  const { note } = openCheckpoint(text);
  const lines = new Set(note.lines);
  for (const each of witnessed.map(openCheckpoint))
    if (each.note.text === note.text) for (const line of each.note.lines) lines.add(line);
  return `${note.text}\n${[...lines].join("\n")}\n`;
}

async function copyReferenced(
  from: string,
  out: string,
  references: ReadonlyMap<string, Reference>,
  signal: AbortSignal | undefined,
): Promise<number> {
  let copied = 0;
  if (references.size > 0) await makeFolder(join(out, REFERENCED));
  for (const { path } of references.values()) {
    signal?.throwIfAborted();
    const name = referencedName(path);
    if (name === null) continue;
    const there = await copyFile(join(from, REFERENCED, name), join(out, REFERENCED, name)).then(
      () => true,
      (error: unknown) => {
        if (isMissing(error)) return false;
        throw error;
      },
    );
    if (there) copied++;
  }
  return copied;
}

async function* publicFiles(files: LogFiles, size: number) {
  for (let n = 0; n * TILE_WIDTH < size; n++) {
    const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
    const entries = await files.entries(n, width);
    yield { path: tilePath("entries", n, width), bytes: encodeEntries(entries), entries };
  }
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    for (let n = 0; n * TILE_WIDTH < count; n++) {
      const width = Math.min(TILE_WIDTH, count - n * TILE_WIDTH);
      yield { path: tilePath(level, n, width), bytes: await files.hashes(level, n, width) };
    }
  }
}

async function claimEmpty(out: string): Promise<void> {
  const names = await readdir(out).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot export evidence: "${out}" is not a folder`,
      cause: error,
    });
  });
  if (names.length > 0) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot export evidence: folder "${out}" is not empty`,
    });
  }
  await makeFolder(out);
}

async function write(out: string, path: string, bytes: Buffer): Promise<void> {
  await makeFolder(join(out, dirname(path)));
  await replaceFile(join(out, path), bytes);
}
