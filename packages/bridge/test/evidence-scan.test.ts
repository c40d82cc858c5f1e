import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as z from "zod";
import { EVIDENCE_PREDICATES, EvidenceStatement, evidenceTypeOf, predicateTypeOf } from "@doorward/contracts";
import { isPlainlyCanonical } from "../src/evidence/canonical-scan.ts";
import { canonicalJson } from "../src/evidence/canonical.ts";
import { sha256 } from "../src/evidence/merkle.ts";
import { REFERENCE_MARK } from "../src/evidence/referenced.ts";
import { compileScan } from "../src/evidence/schema-scan.ts";
import { scanStatement } from "../src/evidence/statement-scan.ts";
import { lostSamples } from "./evidence-end-samples.ts";
import { samples } from "./evidence-samples.ts";

/** What the slow way says of a payload: text, canonical form, schema, and that it is about itself. */
function accepts(payload: Buffer): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
    const value: unknown = JSON.parse(text);
    if (canonicalJson(value) !== text) return false;
    const { predicate, predicateType, subject } = EvidenceStatement.parse(value);
    const digest = sha256(Buffer.from(canonicalJson(predicate))).toString("hex");
    const isOwn = subject[0]?.name === `record/${predicate.recordId}` && subject[0].digest.sha256 === digest;
    return isOwn && evidenceTypeOf(predicateType) !== "key-rotation";
  } catch {
    return false;
  }
}

/** A statement of every record type, some with further artefacts. */
function payloads(): Buffer[] {
  return [...samples, ...lostSamples].flatMap(([{ artifacts: _, type, ...fields }], at) => {
    const recordId = `e_${String(at)}_aaaaaaaa`;
    const predicate = { ...fields, recordId, at: "2026-11-21T10:00:00.000Z" };
    return [[], [{ name: "machine/m_aaaaaaaaaa", digest: { sha256: "b".repeat(64) } }]].map((artifacts) =>
      restated({ predicateType: predicateTypeOf(type), artifacts }, canonicalJson(predicate), recordId),
    );
  });
}

interface Around {
  readonly predicateType: string;
  readonly artifacts: readonly unknown[];
}

/** A statement around the text of a predicate, with the digest that belongs to it. */
function restated({ predicateType, artifacts }: Around, predicate: string, recordId: string): Buffer {
  const own = { digest: { sha256: sha256(Buffer.from(predicate, "latin1")).toString("hex") } };
  const subject = canonicalJson([{ ...own, name: `record/${recordId}` }, ...artifacts]);
  const head = '{"_type":"https://in-toto.io/Statement/v1","predicate":';
  return Buffer.from(
    `${head}${predicate},"predicateType":${JSON.stringify(predicateType)},"subject":${subject}}`,
    "latin1",
  );
}

void test("ordinary records of every type are seen at a glance, with time and id as the slow way reads them", () => {
  let seen = 0;
  for (const payload of payloads()) {
    const quick = scanStatement(payload);
    if (quick === null) continue;
    seen++;
    const { predicate } = EvidenceStatement.parse(JSON.parse(payload.toString("utf8")));
    const refers = payload.includes(REFERENCE_MARK);
    assert.deepEqual(quick, { at: predicate.at, recordId: predicate.recordId, refers });
  }
  assert.ok(seen > payloads().length / 2, String(seen));
});

/** What is put into a text: everything that parsers, or canonical form, treat as special. */
const pieces = [
  ...['"', "\\", ",", ":", "{", "}", "[", "]", "{}", "[]", "null", "true", "0", "-0", "1.0", "1e2", "01"],
  ...[
    " ",
    "\n",
    "\t",
    "\0",
    "\u007f",
    "\u00e9",
    "\u00c3\u00a9",
    "\u00ff",
    "\u00ef\u00bb\u00bf",
    "\u00ed\u00a0\u0080",
  ],
  ...[
    "\\u0061",
    "\\/",
    '"at":"x",',
    '"a":1,',
    '"recordId":"e_0_aaaaaaaa",',
    '"__proto__":{},',
    "[[[[",
    "9".repeat(16),
  ],
  ...['"machine":null', '"grant":null,', '"subject":[],', ',"predicateType":"https://doorward.dev/evidence/'],
];

function pick<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)];
}

/** One change of a text: a byte, a special piece, a part that is left out, or one that stands there twice or elsewhere. */
function changed(text: string): string {
  const at = Math.floor(Math.random() * (text.length + 1));
  const members = text.match(/"[A-Za-z]+":(?:"[^"]*"|[0-9]+|null|true|false),?/g) ?? [];
  const member = pick(members) ?? "";
  const memberAt = text.indexOf(member);
  const way = Math.floor(Math.random() * 6);
  if (way === 0)
    return `${text.slice(0, at)}${String.fromCharCode(Math.random() * 256)}${text.slice(at + 1)}`;
  if (way === 1)
    return `${text.slice(0, at)}${pick(pieces) ?? ""}${text.slice(at + Math.floor(Math.random() * 4))}`;
  if (way === 2) return text.replace(member, "");
  if (way === 3) return text.replace(member, () => `${member}${pick(members) ?? ""}`);
  if (way === 4)
    return `${text.slice(0, memberAt)}${pick(members) ?? ""}${text.slice(memberAt + member.length)}`;
  return text.replace(member, () =>
    member.replace(/:(.*?)(,?)$/, (_, _value, comma) => `:${pick(pieces) ?? ""}${String(comma)}`),
  );
}

void test("of 100,000 changed statements of every type, none passes at a glance that text, canonical form or schema refuse", () => {
  const all = payloads();
  let passed = 0;
  for (let round = 0; round < 100_000; round++) {
    const payload = all[round % all.length] ?? Buffer.alloc(0);
    const given =
      round % 2 === 0 ? Buffer.from(changed(payload.toString("latin1")), "latin1") : resealed(payload);
    assert.ok(!isFalselyCanonical(given), given.toString("latin1"));
    const quick = scanStatement(given);
    if (quick === null) continue;
    passed++;
    assert.ok(accepts(given), given.toString("latin1"));
    const { predicate } = EvidenceStatement.parse(JSON.parse(given.toString("utf8")));
    const refers = payload.includes(REFERENCE_MARK);
    assert.deepEqual(quick, { at: predicate.at, recordId: predicate.recordId, refers });
  }
  // those whose digest was made anew and that are still right must be among them, or nothing was tried
  assert.ok(passed > 500 && passed < 60_000, String(passed));
});

/** Whether the quick look at canonical form, which parsed records get, says yes to what is not. */
function isFalselyCanonical(payload: Buffer): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
    const value: unknown = JSON.parse(text);
    return isPlainlyCanonical(payload) && canonicalJson(value) !== text;
  } catch {
    return false;
  }
}

/** A statement with a changed predicate, whose digest was made anew: the change itself has to be seen. */
function resealed(payload: Buffer): Buffer {
  const { predicate, predicateType, subject } = EvidenceStatement.parse(JSON.parse(payload.toString("utf8")));
  const around = { predicateType, artifacts: subject.slice(1) };
  return restated(around, changed(canonicalJson(predicate)), predicate.recordId);
}

void test("a scanner of any record schema accepts no value that the schema refuses, and no text that is not canonical", () => {
  for (const [type, schema] of Object.entries(EVIDENCE_PREDICATES)) {
    const scan = compileScan(z.toJSONSchema(schema));
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        assert.equal(scan(text, 0) === text.length && !schema.safeParse(value).success, false, type);
      }),
      { numRuns: 50 },
    );
  }
});

const small = z.strictObject({
  a: z.int().min(-5).max(5),
  b: z
    .array(z.enum(["x", "y"]))
    .min(1)
    .max(2),
  c: z.string().min(1).max(3).nullable(),
  d: z.boolean().optional(),
});

void test("small texts: a scanner agrees with canonical form and schema wherever it says yes, and says yes to the plain ones", () => {
  const scan = compileScan(z.toJSONSchema(small));
  const good = ['{"a":0,"b":["x"],"c":null}', '{"a":-5,"b":["x","y"],"c":"abc","d":true}'];
  for (const text of good) assert.equal(scan(text, 0), text.length, text);
  for (const text of [
    '{"a":6,"b":["x"],"c":null}',
    '{"a":-0,"b":["x"],"c":null}',
    '{"a":00,"b":["x"],"c":null}',
    '{"a":1.0,"b":["x"],"c":null}',
    '{"b":["x"],"a":0,"c":null}',
    '{"a":0,"a":0,"b":["x"],"c":null}',
    '{"a":0,"b":[],"c":null}',
    '{"a":0,"b":["x","y","x"],"c":null}',
    '{"a":0,"b":["x",],"c":null}',
    '{"a":0,"b":["z"],"c":null}',
    '{"a":0,"b":["x"],"c":"abcd"}',
    '{"a":0,"b":["x"],"c":""}',
    '{"a":0,"b":["x"],"c":"\\u0061"}',
    '{"a":0,"b":["x"],"c":null,"e":1}',
    '{"a":0,"b":["x"],"c":null,}',
    '{"a":0 ,"b":["x"],"c":null}',
    '{,"a":0,"b":["x"],"c":null}',
    '{"a":0,"b":["x"]}',
    '{"a":0,"b":["x"],"c":null',
    "",
  ])
    assert.notEqual(scan(text, 0), text.length === 0 ? 0 : text.length, text);
});
