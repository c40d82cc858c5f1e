/** Writes `schemas/<Type>.json` for every document; run with `npm run schemas`. */
import { writeFileSync } from "node:fs";
import { DOCUMENTS } from "../src/documents.ts";
import { jsonSchemaOf } from "../src/json-schema.ts";

for (const [type, schema] of Object.entries(DOCUMENTS)) {
  const path = new URL(`../schemas/${type}.json`, import.meta.url);
  writeFileSync(path, `${JSON.stringify(jsonSchemaOf(type, schema), null, 2)}\n`);
}
