import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as z from "zod";
import { EVIDENCE_PREDICATES, EvidenceStatement } from "@doorward/contracts";
import { canonicalJson, parseCanonicalJson } from "../src/evidence/canonical.ts";
import { openEnvelope } from "../src/evidence/dsse.ts";
import { compileScan } from "../src/evidence/schema-scan.ts";
import { scanStatement } from "../src/evidence/statement-scan.ts";
import { opening, openLog, record, temporary } from "../../../test/evidence/support.ts";

/** What the slow way says of a payload. */
function accepts(payload: Buffer): boolean {
  try {
    const text = payload.toString("utf8");
    return EvidenceStatement.safeParse(parseCanonicalJson(text, "payload", payload)).success;
  } catch {
    return false;
  }
}

async function payloads(): Promise<Buffer[]> {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  for (let n = 0; n < 20; n++) await log.append(n % 2 === 0 ? record(n) : opening(n));
  const { entries } = await log.list({ limit: 100 });
  return entries.map(({ envelope }) => openEnvelope(Buffer.from(envelope)).payload);
}

void test("ordinary records are seen at a glance, with time and id as the slow way reads them", async () => {
  for (const payload of await payloads()) {
    const quick = scanStatement(payload);
    assert.ok(quick !== null);
    const { predicate } = EvidenceStatement.parse(JSON.parse(payload.toString("utf8")));
    assert.deepEqual(quick, { at: predicate.at, recordId: predicate.recordId });
  }
});

void test("of 60,000 changed payloads, none passes at a glance that canonical form and schema refuse", async () => {
  const all = await payloads();
  const pieces = [
    '"',
    "\\",
    ",",
    "{}",
    "[]",
    "null",
    "0",
    "-0",
    "1.0",
    "1e3",
    " ",
    "\n",
    "\u00e9",
    '"at":"x",',
    '"a":1,',
  ];
  let passed = 0;
  for (let round = 0; round < 60_000; round++) {
    const text = all[round % all.length]?.toString("latin1") ?? "";
    const at = Math.floor(Math.random() * text.length);
    const cut = Math.floor(Math.random() * 4);
    const piece =
      round % 3 === 0
        ? String.fromCharCode(Math.floor(Math.random() * 256))
        : (pieces[round % pieces.length] ?? "");
    const changed = Buffer.from(`${text.slice(0, at)}${piece}${text.slice(at + cut)}`, "latin1");
    if (scanStatement(changed) === null) continue;
    passed++;
    assert.ok(accepts(changed), changed.toString("latin1"));
  }
  assert.ok(passed < 60_000);
});

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
