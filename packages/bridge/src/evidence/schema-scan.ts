import * as z from "zod";
import { canonicalJson } from "./canonical.ts";

/** Reads one value from its canonical JSON text: the place behind it, or -1 when it is not, or not surely, one of the schema. */
export type Scan = (text: string, at: number) => number;

const Schema = z.strictObject({
  $schema: z.string().optional(),
  description: z.string().optional(),
  type: z.enum(["object", "array", "string", "integer", "boolean", "null"]).optional(),
  const: z.union([z.string(), z.number(), z.boolean(), z.null()]).optional(),
  enum: z.array(z.string()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.literal(false).optional(),
  items: z.unknown().optional(),
  minItems: z.int().optional(),
  maxItems: z.int().optional(),
  minLength: z.int().optional(),
  maxLength: z.int().optional(),
  pattern: z.string().optional(),
  format: z.string().optional(),
  minimum: z.int().optional(),
  maximum: z.int().optional(),
  anyOf: z.array(z.unknown()).optional(),
});
type Schema = z.infer<typeof Schema>;

/** Where the values of some members of the outermost object begin, in the text that was scanned last. */
export interface Places {
  readonly names: readonly string[];
  /** One for each name; what it was before for a member that is absent. */
  readonly at: Int32Array;
}

const quote = 0x22;
const never: Scan = () => -1;

/**
 * Makes a scanner from a JSON Schema. A scanner only ever says yes to canonical JSON (RFC 8785) that the schema accepts;
 * it may say no to some that it can't judge cheaply (text that is not plain ASCII, fractions, keywords it does not know),
 * so that whoever asks looks again the slow way. It builds no values, which counts when a million records are verified.
 */
export function compileScan(schema: unknown, places?: Places): Scan {
  const parsed = Schema.safeParse(schema);
  if (!parsed.success) return never;
  const { data } = parsed;
  if (data.anyOf !== undefined) return firstOf(data.anyOf.map((each) => compileScan(each)));
  if (data.const !== undefined) return literal(canonicalJson(data.const));
  if (data.enum !== undefined) return firstOf(data.enum.map((value) => literal(canonicalJson(value))));
  if (data.type === "object") return objectScan(data, places);
  if (data.type === "array") return arrayScan(data);
  if (data.type === "string") return stringScan(data);
  if (data.type === "integer") return integerScan(data);
  if (data.type === "boolean") return firstOf([literal("true"), literal("false")]);
  return data.type === "null" ? literal("null") : never;
}

/** Scans exactly this text. */
export function literal(text: string): Scan {
  return (given, at) => (given.startsWith(text, at) ? at + text.length : -1);
}

function firstOf(scans: readonly Scan[]): Scan {
  return (text, at) => {
    for (const scan of scans) {
      const end = scan(text, at);
      if (end >= 0) return end;
    }
    return -1;
  };
}

/** Members in the order that canonical JSON has them; those that are not required may be absent. */
function objectScan(
  { properties = {}, required = [], additionalProperties }: Schema,
  places: Places = { names: [], at: new Int32Array(0) },
): Scan {
  const names = Object.keys(properties).sort();
  if (additionalProperties !== false || !names.every((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)))
    return never;
  const members = names.map((name) => ({
    key: literal(`"${name}":`),
    value: compileScan(properties[name]),
    required: required.includes(name),
    place: places.names.indexOf(name),
  }));
  return (text, start) => {
    if (text.charCodeAt(start) !== 0x7b) return -1;
    let at = start + 1;
    for (const { key, value, required: mustBe, place } of members) {
      const isFirst = at === start + 1;
      const valueAt = isFirst || text.charCodeAt(at) === 0x2c ? key(text, isFirst ? at : at + 1) : -1;
      if (valueAt < 0) {
        if (mustBe) return -1;
        continue;
      }
      if (place >= 0) places.at[place] = valueAt;
      at = value(text, valueAt);
      if (at < 0) return -1;
    }
    return text.charCodeAt(at) === 0x7d ? at + 1 : -1;
  };
}

function arrayScan({ items, minItems = 0, maxItems = Number.MAX_SAFE_INTEGER }: Schema): Scan {
  const item = compileScan(items);
  return (text, start) => {
    if (text.charCodeAt(start) !== 0x5b) return -1;
    let count = 0;
    let at = start + 1;
    while (text.charCodeAt(at) !== 0x5d) {
      if (count > 0 && text.charCodeAt(at++) !== 0x2c) return -1;
      at = item(text, at);
      if (at < 0 || ++count > maxItems) return -1;
    }
    return count >= minItems ? at + 1 : -1;
  };
}

/** Strings of printable ASCII without quotes and backslashes: their canonical form is themselves, and their text is the same in every encoding. */
function stringScan({ minLength = 0, maxLength = Number.MAX_SAFE_INTEGER, pattern, format }: Schema): Scan {
  if (format !== undefined && pattern === undefined) return never;
  const regex = pattern === undefined ? null : new RegExp(pattern, "u");
  return (text, start) => {
    if (text.charCodeAt(start) !== quote) return -1;
    let at = start + 1;
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code === quote) break;
      // NaN behind the end
      if (!(code >= 0x20 && code <= 0x7e) || code === 0x5c) return -1;
    }
    const length = at - start - 1;
    if (length < minLength || length > maxLength) return -1;
    return regex === null || regex.test(text.slice(start + 1, at)) ? at + 1 : -1;
  };
}

/** Integers of at most 15 digits, as JSON.stringify writes them. */
function integerScan({ minimum = -Infinity, maximum = Infinity }: Schema): Scan {
  return (text, start) => {
    const isNegative = text.charCodeAt(start) === 0x2d;
    const first = isNegative ? start + 1 : start;
    let at = first;
    let value = 0;
    for (let code = text.charCodeAt(at); code >= 0x30 && code <= 0x39; code = text.charCodeAt(++at))
      value = value * 10 + code - 0x30;
    const digits = at - first;
    if (digits === 0 || digits > 15 || (text.charCodeAt(first) === 0x30 && (digits > 1 || isNegative)))
      return -1;
    const signed = isNegative ? -value : value;
    return signed >= minimum && signed <= maximum ? at : -1;
  };
}
