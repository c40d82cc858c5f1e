import { hash } from "node:crypto";
import * as z from "zod";
import { EVIDENCE_PREDICATES, EvidenceArtifact, isEvidenceType, predicateTypeOf } from "@doorward/contracts";
import { REFERENCE_MARK } from "./referenced.ts";
import { compileScan, literal, type Scan } from "./schema-scan.ts";

/** What a quick look at a statement found. */
export interface ScannedStatement {
  readonly at: string;
  readonly recordId: string;
  /** Whether it may refer to kept files. */
  readonly refers: boolean;
}

const head = literal('{"_type":"https://in-toto.io/Statement/v1","predicate":');
const typeMark = ',"predicateType":"https://doorward.dev/evidence/';
const artifacts = compileScan(z.toJSONSchema(z.array(EvidenceArtifact).min(1).max(20)));
const places = { names: ["at", "recordId"], at: new Int32Array(2) };
const scans = new Map<string, { readonly predicate: Scan; readonly tail: Scan }>();

/**
 * Checks canonical form and schema of a statement without building it, and that its first subject is its own predicate.
 * Null says nothing: then it is parsed and judged by its schema. Only a statement that both would accept is found here.
 */
export function scanStatement(payload: Buffer): ScannedStatement | null {
  // what is not ASCII is refused by every scanner, so a byte is a character here
  const text = payload.toString("latin1");
  const typeAt = text.lastIndexOf(typeMark);
  const start = head(text, 0);
  if (start < 0 || typeAt < start) return null;
  const nameAt = typeAt + typeMark.length;
  const type = text.slice(nameAt, text.indexOf("/", nameAt));
  const scan = scans.get(type) ?? compileType(type);
  places.at.fill(0);
  if (scan?.predicate(text, start) !== typeAt) return null;
  const subjectAt = scan.tail(text, typeAt);
  if (subjectAt < 0) return null;
  const end = artifacts(text, subjectAt);
  if (end < 0 || text[end] !== "}" || end + 1 !== text.length) return null;
  const [at, recordId] = [valueAt(text, 0), valueAt(text, 1)];
  if (at === null || recordId === null) return null;
  const digest = hash("sha256", payload.subarray(start, typeAt), "hex");
  const own = `[{"digest":{"sha256":"${digest}"},"name":"record/${recordId}"}`;
  if (!text.startsWith(own, subjectAt)) return null;
  return { at, recordId, refers: text.includes(REFERENCE_MARK) };
}

/** Rotations carry two signatures, and are looked at the slow way. */
function compileType(type: string) {
  if (!isEvidenceType(type) || type === "key-rotation") return undefined;
  const scan = {
    predicate: compileScan(z.toJSONSchema(EVIDENCE_PREDICATES[type]), places),
    tail: literal(`,"predicateType":"${predicateTypeOf(type)}","subject":`),
  };
  scans.set(type, scan);
  return scan;
}

/** The string of a member of the predicate; null when the scan met none. */
function valueAt(text: string, member: number): string | null {
  const from = (places.at[member] ?? 0) + 1;
  return from === 1 ? null : text.slice(from, text.indexOf('"', from));
}
