import canonicalize from "canonicalize";
import { DoorwardError } from "@doorward/contracts";

/** Canonical JSON (RFC 8785) of a JSON value. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: "Cannot write canonical JSON: the value is not JSON",
    });
  }
  return text;
}

/** Parses JSON that must be canonical to the byte; duplicate keys are named, as parsers disagree about them. */
export function parseCanonicalJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(what, "it is not JSON", error);
  }
  if (isPlainlyCanonical(text, value) || canonicalJson(value) === text) return value;
  const duplicate = duplicateKey(text);
  if (duplicate !== null) throw invalid(what, `key ${JSON.stringify(duplicate)} occurs twice`);
  throw invalid(what, "it is not canonical JSON (RFC 8785)");
}

/**
 * The quick way to see that a text is canonical: the engine's own JSON form differs from RFC 8785 only in the order of
 * keys and in lone surrogates. False says nothing (keys that look like array indexes come out in another order).
 */
function isPlainlyCanonical(text: string, value: unknown): boolean {
  return JSON.stringify(value) === text && !text.includes("\\ud") && hasSortedKeys(value);
}

function hasSortedKeys(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(hasSortedKeys);
  let previous: string | null = null;
  for (const [key, member] of Object.entries(value)) {
    if ((previous !== null && key <= previous) || !hasSortedKeys(member)) return false;
    previous = key;
  }
  return true;
}

/** First key that occurs twice in one object of a JSON text; null when there is none. The text must parse. */
export function duplicateKey(text: string): string | null {
  const objects: (Set<string> | null)[] = [];
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g);
  for (const [token, colon] of tokens) {
    if (token === "{") objects.push(new Set());
    else if (token === "[") objects.push(null);
    else if (token === "}" || token === "]") objects.pop();
    else if (colon !== undefined) {
      const key = String(JSON.parse(token.slice(0, -colon.length)));
      const keys = objects.at(-1);
      if (keys?.has(key) === true) return key;
      keys?.add(key);
    }
  }
  return null;
}

function invalid(what: string, why: string, cause?: unknown): DoorwardError {
  return new DoorwardError({ code: "EVIDENCE_INVALID", message: `Cannot read ${what}: ${why}`, cause });
}
