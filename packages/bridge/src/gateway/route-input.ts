import { DoorwardError, type Route } from "@doorward/contracts";
import type * as z from "zod";
import { decodeStrictly } from "./route-table.ts";

/** Input of a route after its schemas have judged it. */
export interface CheckedInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

/** Judges a route's input by its schemas; throws INPUT_INVALID with the field's path. */
export function checkInput(
  route: Route,
  given: { readonly params: unknown; readonly search: string; readonly body: unknown },
): CheckedInput {
  return {
    params: checked(route.params, given.params, "path"),
    query: checked(route.query, queryOf(given.search), "query"),
    body: checked(route.body, given.body, "body"),
  };
}

/** What of a handler's result its schema accepts; a misfit is a fault of ours. */
export function checkResult(route: Route, result: unknown): unknown {
  const judged = route.result.safeParse(result);
  if (judged.success) return judged.data;
  throw new DoorwardError({
    code: "INTERNAL",
    message: `Answer of ${route.method} ${route.path} does not fit its contract: ${describe(judged.error)}`,
  });
}

/** What of a handler's event its schema accepts; a misfit is a fault of ours. */
export function checkEvent(route: Route, event: unknown): unknown {
  const judged = route.event.safeParse(event);
  if (judged.success) return judged.data;
  throw new DoorwardError({
    code: "INTERNAL",
    message: `Event of ${route.method} ${route.path} does not fit its contract: ${describe(judged.error)}`,
  });
}

function checked(schema: z.ZodType, value: unknown, where: "path" | "query" | "body"): unknown {
  const judged = schema.safeParse(value);
  if (judged.success) return judged.data;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot read the request's ${where}: ${describe(judged.error)}`,
    details: { in: where, issues: judged.error.issues.slice(0, 20).map(issueView) },
  });
}

function queryOf(search: string): Record<string, string> {
  decodeStrictly(search);
  const query: [string, string][] = [];
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (seen.has(name) || name === "__proto__") {
      throw new DoorwardError({
        code: "INPUT_INVALID",
        message: `Cannot read the request's query: "${name.slice(0, 60)}" is given twice or not allowed`,
      });
    }
    seen.add(name);
    query.push([name, value]);
  }
  return Object.fromEntries(query);
}

function describe(error: z.ZodError): string {
  const [first] = error.issues;
  return first === undefined ? "it does not fit" : `${pathOf(first)}${first.message}`.slice(0, 500);
}

function issueView(issue: z.core.$ZodIssue): Record<string, unknown> {
  return { path: issue.path.map(String), message: issue.message.slice(0, 300) };
}

function pathOf(issue: z.core.$ZodIssue): string {
  if (issue.path.length === 0) return "";
  const path = issue.path
    .map((part) => (typeof part === "number" ? `[${String(part)}]` : `.${String(part)}`))
    .join("");
  return `"${path.replace(/^\./, "").slice(0, 200)}": `;
}
