import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import * as z from "zod";
import { DOCUMENTS, jsonSchemaOf } from "../src/index.ts";

const InvalidExample = z.strictObject({ reason: z.string().min(5), document: z.unknown() });

function read(path: string): unknown {
  return JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), "utf8"));
}

function examples(type: string, kind: "valid" | "invalid"): string[] {
  const folder = new URL(`../examples/${type}/${kind}/`, import.meta.url);
  return readdirSync(folder).filter((name) => name.endsWith(".json"));
}

for (const [type, schema] of Object.entries(DOCUMENTS)) {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  addFormats.default(ajv);
  const validate = ajv.compile(jsonSchemaOf(type, schema));

  test(`the committed schema of ${type} is the generated one`, () => {
    assert.deepEqual(read(`schemas/${type}.json`), jsonSchemaOf(type, schema));
  });

  test(`every object of ${type} is closed and every property of it is described`, () => {
    assertClosed(jsonSchemaOf(type, schema), type);
  });

  for (const name of examples(type, "valid")) {
    test(`${type}: ${name} is accepted by zod and by Ajv`, () => {
      const document = read(`examples/${type}/valid/${name}`);
      assert.equal(schema.safeParse(document).success, true);
      assert.equal(validate(document), true, JSON.stringify(validate.errors));
    });
  }

  for (const name of examples(type, "invalid")) {
    const { reason, document } = InvalidExample.parse(read(`examples/${type}/invalid/${name}`));
    test(`${type}: ${name} is refused by zod and by Ajv, because ${reason}`, () => {
      assert.equal(schema.safeParse(document).success, false);
      assert.equal(validate(document), false);
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
      assert.equal(typeof property["description"], "string", `${path}.${name} has no description`);
    }
  }
  for (const [key, value] of Object.entries(object)) assertClosed(value, `${path}.${key}`);
}
