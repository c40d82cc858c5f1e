import * as z from "zod";

/** JSON Schema (2020-12) of a document type, with the `$id` and `title` of the estate's convention. */
export function jsonSchemaOf(type: string, schema: z.ZodType): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(schema, { target: "draft-2020-12", io: "input" });
  return { $schema, $id: `https://schemas.srcos.ai/v2/${type}.json`, title: type, ...body };
}
