import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import * as z from "zod";
import {
  EVIDENCE_PREDICATES,
  EvidenceEnvelope,
  EvidenceStatement,
  evidenceTypeOf,
  isEvidenceType,
  predicateTypeOf,
  type EvidenceInput,
} from "@doorward/contracts";
import { escapeControls, openEvidenceKey, summarize, type EvidenceLog } from "../src/evidence/index.ts";
import { openLog, temporary } from "../../../test/evidence/support.ts";
import { lostSamples, otherWords } from "./evidence-end-samples.ts";
import { samples } from "./evidence-samples.ts";

void test("there is a sample of every record type", () => {
  assert.deepEqual(samples.map(([{ type }]) => type).sort(), Object.keys(EVIDENCE_PREDICATES).sort());
});

/** Key rotations have a way of their own, as both keys sign them. */
async function append(log: EvidenceLog, input: EvidenceInput, dir: string) {
  if (input.type !== "key-rotation") return log.append(input);
  return log.rotate(await openEvidenceKey(join(dir, "next.pem")), input, input.reason);
}

void test("a key rotation that only one key would sign is refused", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  const [input] = samples.find(([{ type }]) => type === "key-rotation") ?? [];
  assert.ok(input !== undefined);
  await assert.rejects(log.append(input), { code: "INPUT_INVALID" });
});

const ajv = new Ajv2020({ strict: false });
formats.default(ajv);
const judge = ajv.compile(z.toJSONSchema(EvidenceStatement));

void test("every record is a statement that zod and Ajv accept, fits a leaf, and reads like a story", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  for (const [input, line] of [...samples, ...lostSamples, ...otherWords]) {
    const { index } = await append(log, input, folder.path);
    const { statement, type, envelope } = await log.read(index);
    assert.equal(type, input.type);
    assert.ok(judge(statement), `${type}: ${JSON.stringify(judge.errors)}`);
    assert.match(summarize(statement), line);
    assert.deepEqual(EvidenceEnvelope.safeParse(JSON.parse(envelope)).success, true);
  }
});

void test("zod and Ajv refuse the same statements: a field too many, one too few, another type, another version", async () => {
  await using folder = await temporary();
  await using log = await openLog(folder.path);
  for (const [input] of [...samples, ...lostSamples]) {
    const { index } = await append(log, input, folder.path);
    const { statement } = await log.read(index);
    const { policyHash: _, ...short } = statement.predicate;
    for (const wrong of [
      { ...statement, extra: 1 },
      { ...statement, predicate: { ...statement.predicate, output: "secret" } },
      { ...statement, predicate: short },
      { ...statement, subject: [] },
      { ...statement, _type: "https://in-toto.io/Statement/v0.1" },
      { ...statement, predicateType: statement.predicateType.replace("/v1", "/v2") },
      { ...statement, predicate: { ...statement.predicate, correlationId: "a b" } },
    ]) {
      assert.equal(EvidenceStatement.safeParse(wrong).success, false);
      assert.equal(judge(wrong), false);
    }
  }
});

void test("every property of every record schema has a description", () => {
  for (const [type, schema] of Object.entries(EVIDENCE_PREDICATES)) {
    for (const [name, field] of Object.entries(schema.shape)) {
      assert.ok(z.toJSONSchema(field).description, `${type}.${name}`);
    }
  }
});

void test("predicate types name their record type, and foreign ones none", () => {
  assert.equal(predicateTypeOf("launch"), "https://doorward.dev/evidence/launch/v1");
  assert.equal(evidenceTypeOf("https://doorward.dev/evidence/machine-end/v1"), "machine-end");
  for (const foreign of [
    "https://doorward.dev/evidence/launch/v2",
    "https://example.com/evidence/launch/v1",
    "https://doorward.dev/evidence/toString/v1",
    "",
  ]) {
    assert.equal(evidenceTypeOf(foreign), null);
  }
  assert.equal(isEvidenceType("constructor"), false);
});

void test("control characters and invisible direction marks are shown as escapes", () => {
  assert.equal(
    escapeControls("a\u001b[31mb\nc\u202ed\u2028e\u0000\u009b"),
    "a\\u001b[31mb\\u000ac\\u202ed\\u2028e\\u0000\\u009b",
  );
  assert.equal(escapeControls("Grüße, 世界 🚪"), "Grüße, 世界 🚪");
});
