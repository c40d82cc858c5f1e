import { DoorwardError } from "@doorward/contracts";
import type * as z from "zod";
import type { Tool } from "./tool.ts";

/** Parses the arguments of a call; INPUT_INVALID names each wrong argument in words for a model. */
export function parseArguments(tool: Tool, given: unknown): z.output<Tool["input"]> {
  const parsed = tool.input.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.slice(0, 5).map((issue) => problemOf(issue, given));
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot call "${tool.name}": ${wrong.join("; ")}`,
    hint: `It takes ${Object.keys(tool.input.shape).join(", ") || "no arguments"}`,
  });
}

function problemOf(issue: z.core.$ZodIssue, given: unknown): string {
  if (issue.code === "unrecognized_keys") return `it has no argument ${issue.keys.map(quoted).join(", ")}`;
  if (issue.path.length === 0) return "its arguments are not an object";
  const name = quoted(issue.path.map(String).join("."));
  return isMissing(issue.path, given) ? `argument ${name} is missing` : `argument ${name}: ${issue.message}`;
}

function isMissing(path: readonly PropertyKey[], given: unknown): boolean {
  let value = given;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return true;
    value = Reflect.get(value, key);
  }
  return value === undefined;
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 80));
}
