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

/** What the signatures of a bundle are over, one record behind the other; those that do not fit have memory of their own. */
const signedRoom = Buffer.alloc(512 * 1024);

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

/** A record that was read and is as it should be, but for its signatures. */
interface ReadRecord {
  readonly index: number;
  readonly opened: OpenedEnvelope;
  readonly at: string;
  readonly references: readonly Reference[];
}

/**
 * Checks the records of a bundle by themselves. All are read first, and then all signatures are verified: a processor is a
 * little quicker at either when it stays with it.
 */
function checkRecords(
  entries: readonly Buffer[],
  first: number,
  spans: readonly KeySpan[],
  problems: VerifyProblem[],
) {
  const read = readRecords(entries, first, problems);
  const sound = read.filter(({ index, opened }) => {
    const reason = wrongSignature(opened, index, spans);
    if (reason !== null) problems.push({ index, reason });
    return reason === null;
  });
  for (const [position, { at, index }] of sound.entries())
    if (at < (sound[position - 1]?.at ?? ""))
      problems.push({ index, reason: `Its time "${at}" is before that of the record in front of it` });
  return {
    firstAt: sound[0]?.at ?? "",
    lastAt: sound.at(-1)?.at ?? "",
    references: sound.flatMap(({ index, references }) =>
      references.map((reference) => ({ index, reference })),
    ),
  };
}

function readRecords(entries: readonly Buffer[], first: number, problems: VerifyProblem[]): ReadRecord[] {
  const records: ReadRecord[] = [];
  let used = 0;
  for (const [offset, leaf] of entries.entries()) {
    const index = first + offset;
    try {
      const opened = openEnvelope(leaf, signedRoom.subarray(used));
      used += opened.signed.length;
      records.push({ index, opened, ...readRecord(opened, index) });
    } catch (error) {
      problems.push({ index, reason: messageOf(error) });
    }
  }
  return records;
}

const noReferences: readonly Reference[] = [];

/** Checks one record but for its signatures, and returns what others are compared with; throws the reason when something is wrong. */
function readRecord(opened: OpenedEnvelope, index: number): Pick<ReadRecord, "at" | "references"> {
  const quick = opened.signatures.length === 1 ? scanStatement(opened.payload) : null;
  if (quick?.refers === false) {
    checkPlace(quick.recordId, index);
    return { at: quick.at, references: noReferences };
  }
  const value = parseCanonicalJson(textOf(opened.payload), "payload", opened.payload);
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
  const refers = opened.payload.includes(REFERENCE_MARK);
  return { at: predicate.at, references: refers ? referencesIn(predicate) : noReferences };
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

/** Why a record is not signed as it must be; null when it is. */
function wrongSignature(opened: OpenedEnvelope, index: number, spans: readonly KeySpan[]): string | null {
  const at = spans.findLastIndex(({ from }) => from <= index);
  for (const [position, signature] of opened.signatures.entries()) {
    const key = position === 0 ? spans[at]?.key : nextKey(spans, at, index);
    if (key?.keyId !== signature.keyId)
      return `It is signed by key "${signature.keyId}", which is not the log's key there`;
    if (!verifySignature(opened, key, signature)) return "Its signature is wrong";
  }
  return null;
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
