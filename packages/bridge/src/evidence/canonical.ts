import canonicalize from "canonicalize";
import { DoorwardError } from "@doorward/contracts";
import { isPlainlyCanonical } from "./canonical-scan.ts";

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
export function parseCanonicalJson(
  text: string,
  what: string,
  bytes: Uint8Array = Buffer.from(text),
): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(what, "it is not JSON", error);
  }
  if (isPlainlyCanonical(bytes) || canonicalJson(value) === text) return value;
  const duplicate = duplicateKey(text);
  if (duplicate !== null) throw invalid(what, `key ${JSON.stringify(duplicate)} occurs twice`);
  throw invalid(what, "it is not canonical JSON (RFC 8785)");
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
