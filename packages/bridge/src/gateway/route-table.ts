import { DoorwardError, ROUTES, type Route, type RouteId } from "@doorward/contracts";

/** A route that fits a request's method and path, with its parameters still unchecked. */
export interface RouteMatch {
  readonly id: RouteId;
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface Entry {
  readonly id: RouteId;
  readonly route: Route;
  readonly segments: readonly string[];
}

const entries: readonly Entry[] = Object.keys(ROUTES)
  .filter(isRouteId)
  .map((id): Entry => ({ id, route: ROUTES[id], segments: ROUTES[id].path.split("/") }))
  .sort((one, other) => parameterCount(one) - parameterCount(other));

const publicPaths = new Set(
  entries.filter(({ route }) => route.access === "public").map(({ route }) => route.path),
);

/** Whether a path is served to everyone, so that nobody needs to be told apart. */
export function isPublic(path: string): boolean {
  return publicPaths.has(path);
}

/** Finds the route of a request; throws ROUTE_NOT_FOUND or METHOD_NOT_ALLOWED. */
export function matchRoute(method: string, path: string): RouteMatch {
  const segments = decodeSegments(path);
  const fitting = entries.filter((entry) => fits(entry, segments));
  const found = fitting.find((entry) => entry.route.method === method);
  if (found !== undefined) return { id: found.id, route: found.route, params: paramsOf(found, segments) };
  if (fitting.length === 0)
    throw new DoorwardError({ code: "ROUTE_NOT_FOUND", message: "The control API has no such path" });
  const allow = [...new Set(fitting.map((entry) => entry.route.method))].join(", ");
  throw new DoorwardError({
    code: "METHOD_NOT_ALLOWED",
    message: `Cannot call this path with "${method}": it takes ${allow}`,
    details: { allow },
  });
}

/** Path of a URL as decoded segments; a segment never holds a slash, a control character or a dot path. */
export function decodeSegments(path: string): readonly string[] {
  return path.split("/").map((segment) => {
    const decoded = decodeStrictly(segment);
    if (/[/\\\u0000-\u001f\u007f]/.test(decoded) || decoded === "." || decoded === "..") throw malformed();
    return decoded;
  });
}

/** Percent-decoding that refuses what is not UTF-8. */
export function decodeStrictly(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed();
  }
}

function isRouteId(value: string): value is RouteId {
  return Object.hasOwn(ROUTES, value);
}

function parameterCount(entry: Entry): number {
  return entry.segments.filter(isParameter).length;
}

function isParameter(segment: string): boolean {
  return segment.startsWith("{");
}

function fits(entry: Entry, segments: readonly string[]): boolean {
  return (
    entry.segments.length === segments.length &&
    entry.segments.every((wanted, at) =>
      isParameter(wanted) ? segments[at] !== "" : wanted === segments[at],
    )
  );
}

function paramsOf(entry: Entry, segments: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entry.segments.flatMap((wanted, at) =>
      isParameter(wanted) ? [[wanted.slice(1, -1), segments[at] ?? ""]] : [],
    ),
  );
}

function malformed(): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: "Cannot read the request's path: it is not plain percent-encoded UTF-8",
  });
}
