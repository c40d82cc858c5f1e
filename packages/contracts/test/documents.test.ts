import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  DOCUMENTS,
  EVIDENCE_PREDICATES,
  EvidenceStatement,
  isEvidenceType,
  judgeDocument,
  jsonSchemaOf,
  predicateTypeOf,
} from "../src/index.ts";
import { ajvJudge, foundOnly, hasAlternatives, strictAjv } from "../scripts/ajv-judge.ts";
import { unresolved } from "../scripts/references.ts";
import { acceptances, exampleTypes, refusals } from "../scripts/vectors.ts";

const SYSTEMS = ["linux", "macos", "windows"];
const FOR_EACH_SYSTEM = [
  "SecureHostInterfaceProfile",
  "HostInterfaceGrant",
  "TerminalDoor",
  "BrowserDoor",
  "EditorDoor",
  "AgentToolDoor",
  "AgentMachineProfile",
  "AgentMachineFingerprint",
  "AgentMachineMountEvidence",
];

for (const [type, schema] of Object.entries(DOCUMENTS)) {
  const generated = jsonSchemaOf(type, schema);
  const judge = ajvJudge(strictAjv(), generated);

  test(`the committed schema of ${type} is the generated one`, () => {
    const committed: unknown = JSON.parse(
      readFileSync(new URL(`../schemas/${type}.json`, import.meta.url), "utf8"),
    );
    assert.deepEqual(committed, generated);
    assert.deepEqual(unresolved(generated, new Set()), []);
  });

  test(`every object of ${type} is closed and every property of it is described`, () => {
    assertClosed(generated, type);
    assert.match(String(generated["description"]), /\w{3}/, "the contract says what it is");
  });

  test(`${type} has examples of both kinds`, () => {
    assert.notEqual(acceptances(type).length, 0);
    assert.notEqual(refusals(type).length, 0);
  });

  for (const { name, document } of acceptances(type)) {
    test(`${type}: ${name} is accepted by zod and by Ajv`, () => {
      assert.deepEqual(judgeDocument(document, type), { type, valid: true, problems: [] });
      assert.deepEqual(judge(document), []);
    });
  }

  for (const { name, reason, at, document } of refusals(type)) {
    test(`${type}: ${name} is refused by zod and by Ajv at ${at}, because ${reason}`, () => {
      const paths = judgeDocument(document, type).problems.map(({ path }) => path);
      assert.ok(foundOnly(paths, at, false), `zod: ${paths.join(", ")}`);
      const places = judge(document);
      assert.ok(foundOnly(places, at, hasAlternatives(generated)), `Ajv: ${places.join(", ")}`);
    });
  }
}

test("there are at least 150 examples, and refusals are half of them or more", () => {
  const accepted = exampleTypes().flatMap(acceptances).length;
  const refused = exampleTypes().flatMap(refusals).length;
  assert.ok(accepted + refused >= 150, `${accepted + refused} examples`);
  assert.ok(refused >= accepted, `${refused} refusals`);
});

test("every type of record has an example that is accepted", () => {
  const shown = new Set(
    acceptances("EvidenceStatement").map(({ document }) => EvidenceStatement.parse(document).predicateType),
  );
  const missing = Object.keys(EVIDENCE_PREDICATES).filter(
    (type) => isEvidenceType(type) && !shown.has(predicateTypeOf(type)),
  );
  assert.deepEqual(missing, []);
});

test("every folder of examples belongs to a contract", () => {
  assert.deepEqual(
    exampleTypes().filter((type) => !Object.hasOwn(DOCUMENTS, type)),
    [],
  );
});

for (const type of FOR_EACH_SYSTEM) {
  for (const system of SYSTEMS) {
    test(`${type} has a valid example for ${system}`, () => {
      assert.ok(acceptances(type).some(({ name }) => name.startsWith(`${system}-`)));
    });
  }
}

function assertClosed(node: unknown, path: string): void {
  if (Array.isArray(node)) {
    node.forEach((entry, index) => assertClosed(entry, `${path}[${index}]`));
    return;
  }
  if (typeof node !== "object" || node === null) return;
  const object = node as Record<string, unknown>;
  if (object["type"] === "object") {
    const open = object["additionalProperties"];
    assert.ok(open === false || typeof open === "object", `${path} is open`);
    const properties = (object["properties"] ?? {}) as Record<string, Record<string, unknown>>;
    for (const [name, property] of Object.entries(properties)) {
      const { description } = property;
      assert.ok(
        typeof description === "string" && description.length > 2,
        `${path}.${name} is not described`,
      );
    }
  }
  for (const [key, value] of Object.entries(object)) assertClosed(value, `${path}.${key}`);
}
