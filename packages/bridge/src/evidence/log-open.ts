import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { BundleIndex } from "./bundle-index.ts";
import { openCheckpoint, type OpenedCheckpoint } from "./checkpoint.ts";
import { openEnvelope } from "./dsse.ts";
import { makeFolder } from "./files.ts";
import type { JournalContent } from "./journal-format.ts";
import { Journal } from "./journal.ts";
import { isMissing, publicKeyOf, type EvidenceKey, type EvidencePublicKey } from "./key.ts";
import { LogFiles } from "./log-files.ts";
import { LogTail } from "./log-tail.ts";
import { leafHash, TILE_WIDTH, TreeEdge } from "./merkle.ts";
import { filterKeys, readLeaf, type EvidenceEntry } from "./record.ts";
import { isSignedBy, noteVerifier } from "./signed-note.ts";

/** Whose log is opened, and where. */
export interface LogPlace {
  readonly dir: string;
  readonly key: EvidenceKey;
  readonly origin: string;
}

/** A log brought up to date from its folder. */
export interface RecoveredLog {
  readonly journal: Journal;
  readonly tail: LogTail;
  /** Time of the newest record, in milliseconds; 0 for an empty log. */
  readonly lastAt: number;
  /** Bytes of a torn group that were wiped. */
  readonly torn: number;
}

/** Opens the folder of a log, makes an empty one when nothing is there, and refuses one that is not this key's and origin's. */
export async function recoverLog(place: LogPlace): Promise<RecoveredLog> {
  await makeFolder(place.dir);
  const path = join(place.dir, "journal");
  if (!(await exists(path))) return createLog(place, path);
  const { journal, content } = await Journal.open(path);
  try {
    if (content.origin !== place.origin) throw invalid(place, `it belongs to "${content.origin}"`);
    return { journal, torn: content.torn, ...(await replay(place, content)) };
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
}

async function createLog({ dir, origin }: LogPlace, path: string): Promise<RecoveredLog> {
  for (const name of ["checkpoint", "tile"]) {
    if (await exists(join(dir, name)))
      throw invalid({ dir }, `"${name}" is there, but the journal is missing`);
  }
  const journal = await Journal.create(path, { origin, base: 0, edge: [] });
  const index = await BundleIndex.open(join(dir, "index"), 0);
  return { journal, tail: new LogTail(new TreeEdge(), index), lastAt: 0, torn: 0 };
}

async function replay(
  place: LogPlace,
  content: JournalContent,
): Promise<{ readonly tail: LogTail; readonly lastAt: number }> {
  const files = new LogFiles(place.dir);
  const checkpoint = await readCheckpoint(place, content.base);
  const tail = new LogTail(new TreeEdge(content.base, content.edge), await openIndex(files, content.base));
  const seen: EvidenceEntry[] = [];
  checkRoot(place, tail, checkpoint);
  for (const leaf of content.entries) {
    const entry = readLeaf(leaf, tail.size);
    if (isKeyChange(entry) || tail.size === content.base + content.entries.length - 1) seen.push(entry);
    tail.add(leaf, leafHash(leaf), filterKeys({ ...entry.statement.predicate, type: entry.type }));
    checkRoot(place, tail, checkpoint);
  }
  if (seen.length === 0 && content.base > 0) seen.push(await lastEntry(files, content.base));
  checkKey(place, seen.at(-1));
  checkCheckpoint(place, tail.size, checkpoint, seen);
  const last = seen.at(-1);
  return { tail, lastAt: last === undefined ? 0 : Date.parse(last.statement.predicate.at) };
}

/** Rows of bundles in front of the journal that the index lacks are made again from the bundles. */
async function openIndex(files: LogFiles, base: number): Promise<BundleIndex> {
  const bundles = base / TILE_WIDTH;
  const index = await BundleIndex.open(join(files.dir, "index"), bundles);
  while (index.length < bundles) {
    const n = index.length;
    const entries = await files.entries(n, TILE_WIDTH);
    const words = entries.flatMap((leaf, at) => {
      const { statement, type } = readLeaf(leaf, n * TILE_WIDTH + at);
      return filterKeys({ ...statement.predicate, type });
    });
    index.add(new Set(words));
  }
  return index;
}

async function readCheckpoint(place: LogPlace, base: number): Promise<OpenedCheckpoint | null> {
  let text: string;
  try {
    text = await readFile(join(place.dir, "checkpoint"), "utf8");
  } catch (error) {
    if (isMissing(error) && base === 0) return null; // killed before the first one was written
    throw invalid(place, "its checkpoint can't be read", error);
  }
  const checkpoint = openCheckpoint(text);
  if (checkpoint.origin !== place.origin)
    throw invalid(place, `its checkpoint belongs to "${checkpoint.origin}"`);
  return checkpoint;
}

function checkRoot(place: LogPlace, tail: LogTail, checkpoint: OpenedCheckpoint | null): void {
  if (tail.size !== checkpoint?.size || tail.root().equals(checkpoint.root)) return;
  throw invalid(place, `its records are not those of its checkpoint over ${String(tail.size)} records`);
}

function checkKey(place: LogPlace, last: EvidenceEntry | undefined): void {
  if (last === undefined) return;
  const signer = openEnvelope(Buffer.from(last.envelope)).signatures.at(-1)?.keyId;
  if (signer === place.key.keyId) return;
  throw new DoorwardError({
    code: "KEY_INVALID",
    message: `Cannot open evidence log "${place.dir}": its newest record is signed by key "${signer ?? ""}", and the key at hand is "${place.key.keyId}"`,
  });
}

function checkCheckpoint(
  place: LogPlace,
  size: number,
  checkpoint: OpenedCheckpoint | null,
  seen: readonly EvidenceEntry[],
): void {
  if (checkpoint === null) return;
  if (checkpoint.size > size) {
    throw invalid(
      place,
      `its checkpoint covers ${String(checkpoint.size)} records, and ${String(size)} are there`,
    );
  }
  const keys: EvidencePublicKey[] = [place.key, ...seen.flatMap((entry) => previousKey(entry))];
  if (keys.some((key) => isSignedBy(checkpoint.note, noteVerifier(place.origin, key)))) return;
  throw new DoorwardError({
    code: "KEY_INVALID",
    message: `Cannot open evidence log "${place.dir}": its checkpoint is signed by another key than "${place.key.keyId}"`,
  });
}

function isKeyChange({ type }: EvidenceEntry): boolean {
  return type === "key-rotation";
}

function previousKey({ statement: { predicate } }: EvidenceEntry): EvidencePublicKey[] {
  return "previousKey" in predicate
    ? [publicKeyOf(Buffer.from(predicate.previousKey.publicKey, "base64"))]
    : [];
}

async function lastEntry(files: LogFiles, size: number): Promise<EvidenceEntry> {
  const entries = await files.entries(size / TILE_WIDTH - 1, TILE_WIDTH);
  const leaf = entries.at(-1);
  if (leaf === undefined) throw invalid({ dir: files.dir }, "its last bundle is empty");
  return readLeaf(leaf, size - 1);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function invalid({ dir }: { readonly dir: string }, why: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_INVALID",
    message: `Cannot open evidence log "${dir}": ${why}`,
    hint: "Keep the folder as it is and compare it with an export or a kept checkpoint",
    cause,
  });
}
