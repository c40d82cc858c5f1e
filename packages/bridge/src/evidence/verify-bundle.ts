import { evidenceTypeOf, type Reference } from "@doorward/contracts";
import { parseCanonicalJson } from "./canonical.ts";
import { openEnvelope, verifySignature, type OpenedEnvelope } from "./dsse.ts";
import type { EvidencePublicKey } from "./key.ts";
import type { LogFiles } from "./log-files.ts";
import { leafHash, rootOf, sha256 } from "./merkle.ts";
import { REFERENCE_MARK, referencesIn } from "./referenced.ts";
import { scanStatement } from "./statement-scan.ts";
import { readStatement } from "./record.ts";

/** Something that does not verify. */
export interface VerifyProblem {
  /** Leaf index; null when it is not about one record. */
  readonly index: number | null;
  readonly reason: string;
}

/** A key and the first record that it signs alone. */
export interface KeySpan {
  readonly from: number;
  readonly key: EvidencePublicKey;
}

/** A file that a record refers to, and where the record stands. */
export interface IndexedReference {
  readonly index: number;
  readonly reference: Reference;
}

/** One bundle to check. */
export interface BundleTask {
  readonly n: number;
  readonly width: number;
  /** Whether signatures, canonical form and schema are checked too, or the tree alone. */
  readonly records: boolean;
}

/** What a bundle turned out to be. */
export interface BundleResult {
  readonly n: number;
  readonly width: number;
  /** Leaf hashes; empty when the entries can't be read. */
  readonly hashes: Uint8Array;
  /** Root over the leaf hashes. */
  readonly root: Uint8Array;
  /** Times of the first and the last record; empty when not known. */
  readonly firstAt: string;
  readonly lastAt: string;
  readonly problems: readonly VerifyProblem[];
  /** Kept files that its records refer to; none when only the tree is checked. */
  readonly references: readonly IndexedReference[];
}

const bundleWidth = 256;
const nothing = new Uint8Array(0);

/** Checks one entry bundle against its hash tile and, record by record, against the keys. */
export async function checkBundle(
  files: LogFiles,
  { n, width, records }: BundleTask,
  spans: readonly KeySpan[],
): Promise<BundleResult> {
  const problems: VerifyProblem[] = [];
  const first = n * bundleWidth;
  let entries: Buffer[];
  try {
    entries = await files.entries(n, width);
  } catch (error) {
    problems.push({ index: first, reason: messageOf(error) });
    return { n, width, hashes: nothing, root: nothing, firstAt: "", lastAt: "", problems, references: [] };
  }
  const hashes = Buffer.concat(entries.map(leafHash));
  problems.push(...(await compareTile(files, n, first, hashes)));
  const found = records
    ? checkRecords(entries, first, spans, problems)
    : { firstAt: "", lastAt: "", references: [] };
  return { n, width, hashes, root: rootOf(hashes), ...found, problems };
}

async function compareTile(
  files: LogFiles,
  n: number,
  first: number,
  hashes: Buffer,
): Promise<VerifyProblem[]> {
  try {
    const tile = await files.hashes(0, n, hashes.length / 32);
    if (tile.equals(hashes)) return [];
    let at = 0;
    while (hashes[at] === tile[at]) at++;
    return [
      { index: first + Math.floor(at / 32), reason: "The entry is not the one whose hash the tree holds" },
    ];
  } catch (error) {
    return [{ index: first, reason: messageOf(error) }];
  }
}

function checkRecords(
  entries: readonly Buffer[],
  first: number,
  spans: readonly KeySpan[],
  problems: VerifyProblem[],
) {
  let firstAt = "";
  let lastAt = "";
  const references: IndexedReference[] = [];
  for (const [offset, leaf] of entries.entries()) {
    const index = first + offset;
    try {
      const at = checkRecord(leaf, index, spans, references);
      if (at < lastAt)
        problems.push({ index, reason: `Its time "${at}" is before that of the record in front of it` });
      firstAt ||= at;
      lastAt = at;
    } catch (error) {
      problems.push({ index, reason: messageOf(error) });
    }
  }
  return { firstAt, lastAt, references };
}

/** Checks one record by itself and returns its time; throws the reason when something is wrong. */
function checkRecord(
  leaf: Buffer,
  index: number,
  spans: readonly KeySpan[],
  references: IndexedReference[],
): string {
  const opened = openEnvelope(leaf);
  const quick = opened.signatures.length === 1 ? scanStatement(opened.payload) : null;
  if (quick !== null && !opened.payload.includes(REFERENCE_MARK)) {
    checkSignatures(opened, index, spans);
    checkPlace(quick.recordId, index);
    return quick.at;
  }
  const value = parseCanonicalJson(textOf(opened.payload), "payload", opened.payload);
  checkSignatures(opened, index, spans);
  const parsed = readStatement(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`Its field "${issue?.path.join(".") ?? ""}" is wrong: ${issue?.message ?? ""}`);
  }
  const { predicate, predicateType, subject } = parsed.data;
  checkPlace(predicate.recordId, index);
  const isRotation = evidenceTypeOf(predicateType) === "key-rotation";
  if (isRotation !== (opened.signatures.length === 2))
    throw new Error("Only a key rotation carries two signatures, and it must");
  const own = subject[0];
  if (own?.name !== `record/${predicate.recordId}` || own.digest.sha256 !== predicateDigest(opened.payload)) {
    throw new Error("Its first subject is not the record itself");
  }
  if (opened.payload.includes(REFERENCE_MARK))
    references.push(...referencesIn(predicate).map((reference) => ({ index, reference })));
  return predicate.at;
}

function checkPlace(recordId: string, index: number): void {
  if (!recordId.startsWith(`e_${String(index)}_`)) throw new Error(`It says it is record "${recordId}"`);
}

function textOf(payload: Buffer): string {
  const text = payload.toString("utf8");
  if (text.includes("\ufffd") && !Buffer.from(text).equals(payload))
    throw new Error("Its payload is not UTF-8");
  return text;
}

const predicateKey = ',"predicate":';
const predicateTypeKey = ',"predicateType":"';

/** Digest of the predicate's canonical text, which lies between two of the four keys of a statement. */
function predicateDigest(statement: Buffer): string {
  const start = statement.indexOf(predicateKey) + predicateKey.length;
  const end = statement.lastIndexOf(predicateTypeKey);
  return sha256(statement.subarray(start, end)).toString("hex");
}

function checkSignatures(opened: OpenedEnvelope, index: number, spans: readonly KeySpan[]): void {
  const at = spans.findLastIndex(({ from }) => from <= index);
  for (const [position, signature] of opened.signatures.entries()) {
    const key = position === 0 ? spans[at]?.key : nextKey(spans, at, index);
    if (key?.keyId !== signature.keyId)
      throw new Error(`It is signed by key "${signature.keyId}", which is not the log's key there`);
    if (!verifySignature(opened, key, signature)) throw new Error("Its signature is wrong");
  }
}

/** The second signer of a key rotation: the key whose span begins right behind it. */
function nextKey(spans: readonly KeySpan[], at: number, index: number): EvidencePublicKey | undefined {
  const next = spans[at + 1];
  return next?.from === index + 1 ? next.key : undefined;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
