import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AgentMachineMountEvidence, jsonSchemaOf } from "../src/index.ts";
import { ajvJudge, strictAjv } from "../scripts/ajv-judge.ts";
import { acceptances, refusals } from "../scripts/vectors.ts";

const TYPE = "AgentMachineMountEvidence";
// The published schema v0.1, written down from its table of fields; no bounds and patterns of ours.
const published = JSON.parse(
  readFileSync(new URL("agentplane-mount-evidence-v0.1.json", import.meta.url), "utf8"),
) as Record<string, unknown>;
const theirs = ajvJudge(strictAjv(), published);
const ours = ajvJudge(strictAjv(), jsonSchemaOf(TYPE, AgentMachineMountEvidence));

test("what we accept as mount evidence, the published schema accepts", () => {
  for (const { document } of acceptances(TYPE)) assert.deepEqual(theirs(document), []);
});

test("what we refuse as mount evidence, the published schema refuses at the same place", () => {
  for (const { at, document } of refusals(TYPE)) assert.ok(theirs(document).includes(at), at);
});

test("every single change of every field is judged as the published schema judges it", () => {
  let changes = 0;
  for (const { document } of acceptances(TYPE)) {
    for (const changed of singleChanges(document)) {
      changes += 1;
      const verdict = theirs(changed).length === 0;
      assert.equal(ours(changed).length === 0, verdict, JSON.stringify(changed));
      assert.equal(AgentMachineMountEvidence.safeParse(changed).success, verdict, JSON.stringify(changed));
    }
  }
  assert.ok(changes > 1000, `${changes} changes`);
});

/** The document with each value in turn removed, replaced by values of every kind, or joined by an unknown one. */
function* singleChanges(node: unknown): Generator {
  yield* [null, true, 0, -1, 1.5, "", "x", "read-only", "a\nb", [], [null], [""], {}, { x: 1 }];
  if (typeof node !== "object" || node === null) return;
  if (Array.isArray(node)) {
    for (const [index, entry] of node.entries()) {
      for (const changed of singleChanges(entry)) yield node.with(index, changed);
    }
    return;
  }
  const object = node as Record<string, unknown>;
  yield { ...object, unknown: 1 };
  for (const [key, value] of Object.entries(object)) {
    const { [key]: _dropped, ...rest } = object;
    yield rest;
    for (const changed of singleChanges(value)) yield { ...object, [key]: changed };
  }
}
