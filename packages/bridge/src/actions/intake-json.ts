const MAX_DEPTH = 24;
const MAX_NODES = 20_000;

/** Why a value is not plain, bounded JSON; null when it is. What callers in this process hand over is judged like bytes. */
export function jsonProblem(value: unknown, maxChars: number): string | null {
  const left = { nodes: MAX_NODES, chars: maxChars };
  return problemOf(value, MAX_DEPTH, left);
}

/** Whether a value is an object with fields. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problemOf(value: unknown, depth: number, left: { nodes: number; chars: number }): string | null {
  left.nodes -= 1;
  if (left.nodes < 0) return "it has too many parts";
  if (typeof value === "string") return textProblem(value, left);
  if (value === null || typeof value === "boolean") return null;
  if (typeof value === "number") return Number.isFinite(value) ? null : "a number is not finite";
  if (typeof value !== "object") return "a field is no JSON value";
  if (depth === 0) return "it is nested too deeply";
  if (Array.isArray(value)) return firstProblem(value, depth, left);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return "a field is no plain object";
  return fieldProblem(value, depth, left);
}

function fieldProblem(value: object, depth: number, left: { nodes: number; chars: number }): string | null {
  if (Object.getOwnPropertySymbols(value).length > 0) return "a field has no name";
  for (const [name, field] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if (name === "__proto__") return 'it has a field "__proto__"';
    if (!("value" in field)) return "a field is computed";
    const problem = textProblem(name, left) ?? problemOf(field.value, depth - 1, left);
    if (problem !== null) return problem;
  }
  return null;
}

function firstProblem(
  items: readonly unknown[],
  depth: number,
  left: { nodes: number; chars: number },
): string | null {
  if (items.length > left.nodes) return "it has too many parts";
  for (const item of items) {
    const problem = problemOf(item, depth - 1, left);
    if (problem !== null) return problem;
  }
  return null;
}

function textProblem(text: string, left: { chars: number }): string | null {
  left.chars -= text.length;
  if (left.chars < 0) return "it is too large";
  return /\p{Surrogate}/u.test(text) ? "a text is not well-formed Unicode" : null;
}
