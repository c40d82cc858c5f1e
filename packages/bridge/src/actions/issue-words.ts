import * as z from "zod";

/** What a schema found wrong, in words: the contract's description of the field instead of the pattern that it has. */
export function issueWords(issue: z.core.$ZodIssue | undefined, schema: z.ZodType): string {
  if (issue === undefined) return "it does not fit";
  if (issue.code !== "invalid_format") return issue.message;
  const described = descriptionAt(schema, issue.path);
  if (described === undefined) return "it does not have the form that this field takes";
  return `it is not ${described.charAt(0).toLowerCase()}${described.slice(1)}`;
}

function descriptionAt(schema: unknown, path: readonly PropertyKey[]): string | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault)
    return descriptionAt(schema.unwrap(), path);
  if (schema instanceof z.ZodUnion)
    return schema.options.map((option) => descriptionAt(option, path)).find((found) => found !== undefined);
  const [key, ...rest] = path;
  if (key === undefined) return schema instanceof z.ZodType ? schema.description : undefined;
  if (schema instanceof z.ZodArray) return descriptionAt(schema.element, rest);
  if (schema instanceof z.ZodRecord) return descriptionAt(schema.valueType, rest);
  if (schema instanceof z.ZodObject) return descriptionAt(Reflect.get(schema.shape, key), rest);
  return undefined;
}
