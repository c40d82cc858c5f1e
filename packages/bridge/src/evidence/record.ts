import { randomBytes } from "node:crypto";
import {
  DoorwardError,
  EVIDENCE_PREDICATES,
  EvidenceStatement,
  EvidenceArtifact,
  evidenceTypeOf,
  predicateTypeOf,
  type EvidenceInput,
  type EvidenceType,
} from "@doorward/contracts";
import { canonicalJson, parseCanonicalJson } from "./canonical.ts";
import { openEnvelope, signEnvelope } from "./dsse.ts";
import { olderLaunch } from "./older-launch.ts";
import type { EvidenceKey } from "./key.ts";
import { leafHash, sha256 } from "./merkle.ts";
import { MAX_ENTRY_BYTES } from "./tiles.ts";

/** A checked record that waits for its index. */
export interface PreparedRecord {
  readonly type: EvidenceType;
  readonly at: string;
  readonly predicate: Readonly<Record<string, unknown>>;
  readonly artifacts: readonly EvidenceArtifact[];
  /** What listings can filter by. */
  readonly keys: readonly string[];
}

/** A record as one leaf of the log. */
export interface SealedRecord {
  readonly recordId: string;
  readonly leaf: Buffer;
  readonly leafHash: Buffer;
  readonly keys: readonly string[];
}

/** A record read back from the log. */
export interface EvidenceEntry {
  readonly index: number;
  readonly recordId: string;
  readonly type: EvidenceType;
  readonly statement: EvidenceStatement;
  /** The DSSE envelope: the exact bytes of the leaf, as text. */
  readonly envelope: string;
  /** RFC 6962 hash of the leaf, hex. */
  readonly leafHash: string;
}

const placeholderId = "e_999999999999999_aaaaaaaa";
const envelopeOverhead = 700;

/** Checks a record at the edge; refuses a wrong shape with INPUT_INVALID and a long one with INPUT_TOO_LARGE. */
export function prepareRecord(
  { type, artifacts = [], ...fields }: EvidenceInput,
  at: string,
): PreparedRecord {
  const parsed = EVIDENCE_PREDICATES[type].safeParse({ ...fields, recordId: placeholderId, at });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join(".") ?? "";
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot append "${type}" record: field "${where}" is wrong: ${issue?.message ?? "unknown"}`,
      details: { path: where },
    });
  }
  const predicate = parsed.data;
  checkArtifacts(type, artifacts);
  const length =
    (Buffer.byteLength(JSON.stringify([predicate, artifacts])) + envelopeOverhead) * (4 / 3) +
    envelopeOverhead;
  if (length > MAX_ENTRY_BYTES) throw tooLarge(type, length);
  const { subject, machine, grant, correlationId } = predicate;
  const keys = filterKeys({ type, subject, correlationId, grant, machine });
  return { type, at, predicate, artifacts, keys };
}

/** Gives a record its index and signs it. */
export async function sealRecord(
  record: PreparedRecord,
  index: number,
  keys: readonly EvidenceKey[],
  where: "now" | "beside" = "beside",
): Promise<SealedRecord> {
  const recordId = `e_${String(index)}_${randomName()}`;
  const predicate = canonicalJson({ ...record.predicate, recordId });
  const own = {
    name: `record/${recordId}`,
    digest: { sha256: sha256(Buffer.from(predicate)).toString("hex") },
  };
  const subject = canonicalJson([own, ...record.artifacts]);
  // the four keys in canonical order around parts that are canonical already
  const statement = `{"_type":"https://in-toto.io/Statement/v1","predicate":${predicate},"predicateType":"${predicateTypeOf(record.type)}","subject":${subject}}`;
  const leaf = await signEnvelope(Buffer.from(statement), keys, where);
  return { recordId, leaf, leafHash: leafHash(leaf), keys: record.keys };
}

/** Reads a leaf back; it must be canonical and have a known type, shape and place. */
export function readLeaf(leaf: Buffer, index: number): EvidenceEntry {
  const { payload } = openEnvelope(leaf);
  const value = parseCanonicalJson(payload.toString("utf8"), `record ${String(index)}`);
  const parsed = readStatement(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(index, `field "${issue?.path.join(".") ?? ""}" is wrong: ${issue?.message ?? ""}`);
  }
  const statement = parsed.data;
  const type = evidenceTypeOf(statement.predicateType);
  if (type === null) throw invalid(index, `type "${statement.predicateType}" is unknown`);
  const { recordId } = statement.predicate;
  return {
    index,
    recordId,
    type,
    statement,
    envelope: leaf.toString("utf8"),
    leafHash: leafHash(leaf).toString("hex"),
  };
}

/** A statement of this build's form, or a launch of the form before. */
export function readStatement(value: unknown): ReturnType<typeof EvidenceStatement.safeParse> {
  const parsed = EvidenceStatement.safeParse(value);
  if (parsed.success) return parsed;
  const older = olderLaunch(value);
  return older === null ? parsed : EvidenceStatement.safeParse(older);
}

/** The words that a record can be found by, each with its kind in front. */
export function filterKeys(record: {
  readonly type: string;
  readonly subject: string;
  readonly correlationId: string;
  readonly grant: string | null;
  readonly machine: { readonly id: string; readonly name: string } | null;
}): string[] {
  const { type, subject, correlationId, grant, machine } = record;
  const keys = [`type ${type}`, `subject ${subject}`, `correlation ${correlationId}`];
  if (grant !== null) keys.push(`grant ${grant}`);
  if (machine !== null) keys.push(`machine ${machine.id}`, `machine ${machine.name}`);
  return keys;
}

/** Leaf index that a record id names; null for what is not a record id. */
export function indexOfRecordId(recordId: string): number | null {
  const digits = /^e_(0|[1-9][0-9]{0,14})_[a-z2-7]{8}$/.exec(recordId)?.[1];
  return digits === undefined ? null : Number(digits);
}

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

function checkArtifacts(type: string, artifacts: readonly EvidenceArtifact[]): void {
  if (artifacts.length < 20 && artifacts.every((artifact) => EvidenceArtifact.safeParse(artifact).success))
    return;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot append "${type}" record: an artifact is not a name and a SHA-256, or there are more than 19`,
  });
}

function randomName(): string {
  return Array.from(randomBytes(8), (byte) => alphabet[byte & 31]).join("");
}

function tooLarge(type: string, length: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot append "${type}" record: its envelope would have about ${String(Math.round(length))} bytes, and a leaf holds ${String(MAX_ENTRY_BYTES)}`,
    hint: "Put large parts beside the log and their digest into the record",
  });
}

function invalid(index: number, why: string): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_INVALID",
    message: `Cannot read record ${String(index)}: ${why}`,
  });
}
