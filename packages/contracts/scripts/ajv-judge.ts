import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import * as z from "zod";

/** What Ajv says of a document: the places that are wrong, as JSON Pointers, or none. */
export type AjvJudge = (document: unknown) => string[];

/** An Ajv (JSON Schema 2020-12) that knows the formats and is strict about schemas. */
export function strictAjv(): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  addFormats.default(ajv);
  return ajv;
}

/** Compiles one schema; throws when it is no valid schema or a reference leads nowhere. */
export function ajvJudge(ajv: Ajv2020, schema: Record<string, unknown>): AjvJudge {
  const validate = ajv.compile(schema);
  return (document) => (validate(document) ? [] : (validate.errors ?? []).map(placeOf));
}

const Named = z.object({
  missingProperty: z.string().optional(),
  additionalProperty: z.string().optional(),
  propertyName: z.string().optional(),
});

/** The place of an error: a missing, unknown or misnamed property counts as its own place. */
function placeOf(error: ErrorObject): string {
  const { missingProperty, additionalProperty, propertyName } = Named.parse(error.params);
  const name = missingProperty ?? additionalProperty ?? propertyName ?? error.propertyName;
  return name === undefined ? error.instancePath : `${error.instancePath}/${escaped(name)}`;
}

function escaped(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

/**
 * Whether the places that a judge found are the one that a refusal names. Where a schema has alternatives (a value or
 * null, one of the record types), the alternatives that were not meant complain too, so one match is enough there.
 */
export function foundOnly(places: readonly string[], at: string, alternatives: boolean): boolean {
  if (places.length === 0) return false;
  return alternatives ? places.includes(at) : places.every((place) => place === at);
}

/** Whether a schema has alternatives anywhere. */
export function hasAlternatives(schema: unknown): boolean {
  return /"(?:anyOf|oneOf)":/.test(JSON.stringify(schema));
}
