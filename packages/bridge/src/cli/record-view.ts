const WIDTH = 100;
const DEPTH = 3;

/** A record as names and values, nested parts by their path; long lists and deep parts are counted, `--json` has them all. */
export function recordRows(statement: Readonly<Record<string, unknown>>): (readonly [string, string])[] {
  const { predicateType, predicate } = statement;
  return [["type", String(predicateType)], ...rows(predicate, "", 1)];
}

function rows(value: unknown, path: string, depth: number): (readonly [string, string])[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return [[path, list(value)]];
  if (typeof value === "string") return [[path, value.slice(0, WIDTH)]];
  if (typeof value !== "object") return [[path, JSON.stringify(value)]];
  const entries = Object.entries(value);
  if (depth > DEPTH) return [[path, `{ ${entries.map(([name]) => name).join(", ")} }`.slice(0, WIDTH)]];
  return entries.flatMap(([name, inner]) => rows(inner, path === "" ? name : `${path}.${name}`, depth + 1));
}

function list(values: readonly unknown[]): string {
  const plain = values.every((value) => typeof value !== "object");
  const text = values.map(String).join(", ");
  return plain && text.length <= WIDTH ? text || "none" : `${values.length} entries`;
}
