/** Checks schemas and examples with Ajv; run with `npm run contracts`. Exits with 1 when anything is wrong. */
import { readdirSync, readFileSync } from "node:fs";
import * as z from "zod";
import { DOCUMENTS } from "../src/documents.ts";
import { jsonSchemaOf } from "../src/json-schema.ts";
import { judgeDocument } from "../src/judge-document.ts";
import { ajvJudge, foundOnly, hasAlternatives, strictAjv } from "./ajv-judge.ts";
import { unresolved } from "./references.ts";
import { acceptances, exampleTypes, refusals } from "./vectors.ts";

const Identified = z.looseObject({ $schema: z.string(), $id: z.string(), title: z.string() });
const folder = new URL("../schemas/", import.meta.url);
const faults: string[] = [];
const counts = { schemas: 0, accepted: 0, refused: 0 };

const committed = new Map(
  readdirSync(folder).map((name) => [
    name,
    Identified.parse(JSON.parse(readFileSync(new URL(name, folder), "utf8"))),
  ]),
);
checkSchemas();
for (const type of Object.keys(DOCUMENTS)) checkExamples(type);
for (const type of exampleTypes()) {
  if (!Object.hasOwn(DOCUMENTS, type)) faults.push(`examples/${type}: there is no contract of that name`);
}
const total = counts.accepted + counts.refused;
if (total < 150) faults.push(`there are ${total} examples, 150 are wanted`);
if (counts.refused * 2 < total)
  faults.push(`${counts.refused} of ${total} examples are refusals, half are wanted`);
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.stdout.write(
  `${counts.schemas} schemas, ${total} examples (${counts.accepted} accepted, ${counts.refused} refused): ${faults.length === 0 ? "all as they should be" : `${faults.length} faults`}\n`,
);
process.exitCode = faults.length === 0 ? 0 : 1;

function checkSchemas(): void {
  const ids = new Set([...committed.values()].map(({ $id }) => $id));
  if (ids.size < committed.size) faults.push("schemas: two have the same $id");
  for (const [name, schema] of committed) {
    const type = name.replace(/\.json$/, "");
    const contract = Object.hasOwn(DOCUMENTS, type) ? DOCUMENTS[type] : undefined;
    counts.schemas += 1;
    if (contract === undefined) faults.push(`schemas/${name}: there is no contract of that name`);
    else if (JSON.stringify(jsonSchemaOf(type, contract)) !== JSON.stringify(schema))
      faults.push(`schemas/${name}: is not the generated one; run npm run schemas`);
    if (schema.$id !== `https://schemas.srcos.ai/v2/${name}`)
      faults.push(`schemas/${name}: $id is "${schema.$id}"`);
    if (schema.title !== type) faults.push(`schemas/${name}: title is "${schema.title}"`);
    if (strictAjv().validateSchema(schema) !== true)
      faults.push(`schemas/${name}: is no JSON Schema 2020-12`);
    for (const reference of unresolved(schema, ids))
      faults.push(`schemas/${name}: $ref "${reference}" leads nowhere`);
  }
  for (const type of Object.keys(DOCUMENTS)) {
    if (!committed.has(`${type}.json`)) faults.push(`schemas/${type}.json: missing; run npm run schemas`);
  }
}

function checkExamples(type: string): void {
  const schema = committed.get(`${type}.json`);
  if (schema === undefined) return;
  const judge = ajvJudge(strictAjv(), schema);
  for (const { name, document } of acceptances(type)) {
    counts.accepted += 1;
    const places = judge(document);
    if (places.length > 0) faults.push(`${type}/valid/${name}: Ajv refuses it at ${places.join(", ")}`);
    const { problems } = judgeDocument(document, type);
    for (const { path, message } of problems) faults.push(`${type}/valid/${name}: "${path}" ${message}`);
  }
  for (const { name, at, document } of refusals(type)) {
    counts.refused += 1;
    const places = judge(document);
    if (!foundOnly(places, at, hasAlternatives(schema)))
      faults.push(`${type}/invalid/${name}: Ajv finds ${places.join(", ") || "nothing"} instead of ${at}`);
    const paths = judgeDocument(document, type).problems.map(({ path }) => path);
    if (!foundOnly(paths, at, false))
      faults.push(`${type}/invalid/${name}: zod finds ${paths.join(", ") || "nothing"} instead of ${at}`);
  }
}
