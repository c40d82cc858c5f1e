import {
  DoorwardError,
  type Route,
  type RouteEvent,
  type RouteId,
  type RouteInput,
  type RouteResult,
} from "@doorward/contracts";
import type { TransportRequest } from "./transport.ts";

type Empty = Record<string, never>;
type Keys<Id extends RouteId> = {
  [K in keyof RouteInput<Id>]: RouteInput<Id>[K] extends Empty ? never : K;
}[keyof RouteInput<Id>];

/** What a caller gives to a route: only the parts that the route has. */
export type CallInput<Id extends RouteId> = Pick<RouteInput<Id>, Exclude<Keys<Id>, "query">> &
  Partial<Pick<RouteInput<Id>, Extract<Keys<Id>, "query">>>;

interface Parts {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

/** The HTTP request of a call; input that the route's schemas refuse is an INPUT_INVALID before anything is sent. */
export function routeRequest(id: RouteId, route: Route, input: Parts): TransportRequest {
  check(id, "params", route, input.params ?? {});
  check(id, "query", route, input.query ?? {});
  check(id, "body", route, input.body ?? {});
  const query = new URLSearchParams(definedPairs(input.query ?? {})).toString();
  return {
    method: route.method,
    path: fillPath(route.path, input.params ?? {}) + (query === "" ? "" : `?${query}`),
    body: route.method === "POST" ? JSON.stringify(input.body ?? {}) : undefined,
  };
}

/** Asserts that a bridge's answer has the shape of the route's result. */
export function assertResult<Id extends RouteId>(
  id: Id,
  route: Route,
  value: unknown,
): asserts value is RouteResult<Id> {
  const parsed = route.result.safeParse(value);
  if (parsed.success) return;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot read answer of "${id}": ${firstIssue(parsed.error)}`,
    hint: "doorward bridge restart",
  });
}

/** Asserts that what a bridge tells has the shape of the route's events. */
export function assertEvent<Id extends RouteId>(
  id: Id,
  route: Route,
  value: unknown,
): asserts value is RouteEvent<Id> {
  const parsed = route.event.safeParse(value);
  if (parsed.success) return;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot read event of "${id}": ${firstIssue(parsed.error)}`,
    hint: "doorward bridge restart",
  });
}

/** The first thing that a schema found wrong, with the field's path. */
export function firstIssue(error: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}): string {
  const issue = error.issues[0];
  if (issue === undefined) return "it does not have the documented shape";
  const path = issue.path.map(String).join(".");
  return path === "" ? issue.message : `field "${path}": ${issue.message}`;
}

function check(id: RouteId, part: "params" | "query" | "body", route: Route, value: unknown): void {
  const parsed = route[part].safeParse(value);
  if (parsed.success) return;
  const field = parsed.error.issues[0]?.path.map(String).join(".") ?? "";
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot call "${id}": ${firstIssue(parsed.error)}`,
    details: { field: field === "" ? part : field },
  });
}

function fillPath(path: string, params: Readonly<Record<string, unknown>>): string {
  return path.replace(/\{([a-z]+)\}/gi, (_, name: string) => encodeURIComponent(String(params[name])));
}

function definedPairs(query: Readonly<Record<string, unknown>>): [string, string][] {
  const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
  return Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, text(value)]]));
}
