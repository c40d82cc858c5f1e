import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import type { Tool } from "./tool.ts";

/** Parses the arguments of a call; INPUT_INVALID names each wrong argument in words for a model. */
export function parseArguments(tool: Tool, given: unknown): z.output<Tool["input"]> {
  const parsed = tool.input.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.slice(0, 5).map((issue) => problemOf(tool, issue, given));
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot call "${tool.name}": ${wrong.join("; ")}`,
    hint: `It takes ${Object.keys(tool.input.shape).join(", ") || "no arguments"}`,
  });
}

function problemOf(tool: Tool, issue: z.core.$ZodIssue, given: unknown): string {
  if (issue.code === "unrecognized_keys") return `it has no argument ${issue.keys.map(quoted).join(", ")}`;
  if (issue.path.length === 0) return "its arguments are not an object";
  const name = quoted(issue.path.map(String).join("."));
  const about = describe(tool, issue.path);
  if (isMissing(issue.path, given)) return `argument ${name} is missing${about}`;
  // A pattern says less than the words about what it is for.
  if (issue.code === "invalid_format" && about !== "")
    return `argument ${name} has not the right form${about}`;
  return `argument ${name}: ${issue.message}`;
}

/** What an argument is, in brackets; nothing for one inside of another, which the schema alone explains. */
function describe(tool: Tool, path: readonly PropertyKey[]): string {
  const [name] = path;
  if (path.length !== 1 || typeof name !== "string") return "";
  const field: unknown = tool.input.shape[name];
  const text = field instanceof z.ZodType ? field.description : undefined;
  return text === undefined ? "" : ` (${text})`;
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
