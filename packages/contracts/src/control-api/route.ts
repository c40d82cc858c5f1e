import * as z from "zod";

/** Who may call a route: anyone on loopback, holders of a grant (for their own machine) and the operator, or the operator alone. */
export type RouteAccess = "public" | "grant" | "operator";

/** One route of the control API: the one place where its path, shapes and access are decided. */
export interface Route<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Result extends z.ZodType = z.ZodType,
  Event extends z.ZodType = z.ZodType,
> {
  readonly method: "GET" | "POST" | "DELETE";
  /** Path with `{name}` parameters, as OpenAPI writes them. */
  readonly path: string;
  readonly access: RouteAccess;
  readonly summary: string;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly result: Result;
  /** What an `ndjson` answer may tell in `event` lines before its end. */
  readonly event: Event;
  /** `ndjson`: the answer is a stream of `progress` and `event` lines that ends with one `result` or `error` line. */
  readonly answer: "json" | "ndjson";
  /** Largest body in bytes; the gateway's limit when absent. */
  readonly bodyBytes?: number;
}

/** No parameters, no query, or no body. */
export const Nothing = z.strictObject({});

type Shapes = Partial<Pick<Route, "params" | "query" | "body" | "event" | "answer" | "bodyBytes">>;

/** Declares a route; shapes that are left out are empty. */
export function route<
  const Given extends Shapes & Pick<Route, "method" | "path" | "access" | "summary" | "result">,
>(
  given: Given,
): Route<Of<Given, "params">, Of<Given, "query">, Of<Given, "body">, Given["result"], Of<Given, "event">> {
  const full = {
    params: Nothing,
    query: Nothing,
    body: Nothing,
    event: Nothing,
    answer: "json" as const,
    ...given,
  };
  return full as never;
}

type Of<Given, Key extends string> = Given extends { readonly [K in Key]: infer Shape extends z.ZodType }
  ? Shape
  : typeof Nothing;

/** One line of an `ndjson` answer. */
export const ProgressLine = z.strictObject({
  type: z.literal("progress").describe("Kind of line"),
  step: z.string().max(200).describe("What is being done"),
  detail: z.string().max(2000).optional().describe("More about it"),
  elapsedMs: z.number().describe("Milliseconds since the request began"),
});
export type ProgressLine = z.infer<typeof ProgressLine>;

/** RFC 9457 problem document. */
export const Problem = z
  .strictObject({
    type: z.string().max(300).describe("URN of the error code"),
    title: z.string().max(300).describe("Error code in words"),
    status: z.int().describe("HTTP status"),
    detail: z.string().max(8000).describe("What happened to what"),
    code: z.string().max(60).describe("Stable error code"),
    hint: z.string().max(4000).optional().describe("What to do about it"),
    rule: z.string().max(300).optional().describe("The rule that refused"),
    details: z.record(z.string(), z.unknown()).optional().describe("Machine readable details"),
    correlationId: z
      .string()
      .max(80)
      .optional()
      .describe("Correlation id of the request, also in logs and evidence"),
  })
  .describe("An error (RFC 9457) with its stable code");
export type Problem = z.infer<typeof Problem>;
