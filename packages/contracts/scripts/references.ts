/** References of a schema that lead neither into itself nor to one of the known `$id`s. */
export function unresolved(schema: object, ids: ReadonlySet<string>): string[] {
  return references(schema).filter((reference) => !resolves(reference, schema, ids));
}

function references(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]: [string, unknown]) =>
    key === "$ref" && typeof value === "string" ? [value] : references(value),
  );
}

function resolves(reference: string, schema: object, ids: ReadonlySet<string>): boolean {
  if (!reference.startsWith("#")) return ids.has(new URL(reference, "https://schemas.srcos.ai/v2/").href);
  let node: unknown = schema;
  for (const part of decodeURIComponent(reference.slice(1)).split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, name)) return false;
    node = new Map<string, unknown>(Object.entries(node)).get(name);
  }
  return true;
}
