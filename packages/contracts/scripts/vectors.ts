import { readdirSync, readFileSync } from "node:fs";
import * as z from "zod";

/** A document that must be accepted. */
export interface Acceptance {
  readonly name: string;
  readonly document: unknown;
}

const Refused = z.strictObject({
  reason: z.string().min(10),
  at: z.string().regex(/^(?:\/[^/]+)+$/),
  document: z.unknown(),
});

/** A document that must be refused for one reason, at one place, given as a JSON Pointer. */
export interface Refusal extends z.infer<typeof Refused> {
  readonly name: string;
}

const folder = new URL("../examples/", import.meta.url);

/** The types that have examples. */
export function exampleTypes(): string[] {
  return readdirSync(folder).filter((name) => /^[A-Z]/.test(name));
}

/** Examples of a type that must be accepted. */
export function acceptances(type: string): Acceptance[] {
  return names(type, "valid").map((name) => ({ name, document: read(`${type}/valid/${name}`) }));
}

/** Examples of a type that must be refused. */
export function refusals(type: string): Refusal[] {
  return names(type, "invalid").map((name) => ({ name, ...refused(`${type}/invalid/${name}`) }));
}

function refused(path: string): z.infer<typeof Refused> {
  const parsed = Refused.safeParse(read(path));
  if (parsed.success) return parsed.data;
  throw new Error(
    `Cannot read examples/${path}: it must have "reason", "at" (a JSON Pointer) and "document"`,
  );
}

function names(type: string, kind: "valid" | "invalid"): string[] {
  return readdirSync(new URL(`${type}/${kind}/`, folder)).filter((name) => name.endsWith(".json"));
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, folder), "utf8"));
}
