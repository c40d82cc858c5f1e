import * as contracts from "@doorward/contracts";
import { ERRORS, Problem, ProgressLine, ROUTES, type Route } from "@doorward/contracts";
import * as z from "zod";
import { MCP_SCHEMAS, MCP_TAG, mcpPaths } from "./openapi-mcp.ts";

type Json = Record<string, unknown>;

const errorStatuses = [400, 401, 403, 404, 405, 408, 409, 413, 429, 500, 502, 503];

const made = new Map<string, Json>();

/** The control API as OpenAPI 3.1, made from the routes that are served; made once for each version. */
export function openApiDocument(version: string): Json {
  const known = made.get(version) ?? makeDocument(version);
  made.set(version, known);
  return known;
}

function makeDocument(version: string): Json {
  const schemas: Json = { ...MCP_SCHEMAS };
  const paths: Record<string, Json> = {};
  for (const [id, route] of Object.entries<Route>(ROUTES)) {
    const item = (paths[route.path] ??= {});
    item[route.method.toLowerCase()] = operationOf(id, route, schemas);
  }
  Object.assign(paths, mcpPaths());
  schemas["Problem"] = problemSchema(schemas);
  return {
    openapi: "3.1.0",
    info: {
      title: "Doorward control API",
      version,
      description:
        "Served on the bridge's Unix socket, where the caller is the operator, and on loopback TCP, where a grant's token is needed. Errors are RFC 9457 problem documents. MCP over plain HTTP is described as far as HTTP goes; doors that are WebSockets are not part of this document.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    servers: [{ url: "http://127.0.0.1:7611", description: "Loopback, for holders of grants" }],
    tags: [...[...new Set(Object.keys(ROUTES).map(tagOf))].map((name) => ({ name })), MCP_TAG],
    paths,
    components: { schemas, responses: problemResponses(), securitySchemes: securitySchemes() },
  };
}

function operationOf(id: string, route: Route, schemas: Json): Json {
  return {
    operationId: id,
    tags: [tagOf(id)],
    summary: route.summary,
    "x-doorward-access": route.access,
    security: securityOf(route),
    ...parametersOf(route),
    ...bodyOf(route, schemas),
    responses: { "200": answerOf(id, route, schemas), ...refusalsOf(route), default: problemRef("Problem") },
  };
}

function parametersOf(route: Route): Json {
  const parameters = [...fieldsOf(route.params, "path"), ...fieldsOf(route.query, "query")];
  return parameters.length === 0 ? {} : { parameters };
}

function fieldsOf(shape: z.ZodType, where: "path" | "query"): Json[] {
  const { properties, required } = z.toJSONSchema(shape, { io: "output" });
  return Object.entries(properties ?? {}).map(([name, schema]) => ({
    name,
    in: where,
    required: where === "path" || (required ?? []).includes(name),
    schema,
  }));
}

function bodyOf(route: Route, schemas: Json): Json {
  if (route.method === "GET") return {};
  const schema = schemaOf(route.body, "input", schemas);
  const needed = z.toJSONSchema(route.body, { io: "input" }).required ?? [];
  return { requestBody: { required: needed.length > 0, content: { "application/json": { schema } } } };
}

function answerOf(id: string, route: Route, schemas: Json): Json {
  const schema = schemaOf(route.result, "output", schemas);
  if (route.answer === "json")
    return { description: "The result", content: { "application/json": { schema } } };
  return {
    description: "Lines of JSON: any number of progress and event lines, then one result or error line",
    content: { "application/x-ndjson": { schema: linesOf(id, route, schema, schemas) } },
  };
}

function linesOf(id: string, route: Route, result: unknown, schemas: Json): Json {
  const line = (type: string, field: string, schema: unknown): Json => ({
    title: `${id} ${type}`,
    type: "object",
    properties: { type: { const: type }, [field]: schema },
    required: ["type", field],
    additionalProperties: false,
  });
  return {
    oneOf: [
      schemaOf(ProgressLine, "output", schemas),
      ...(tells(route) ? [line("event", "event", schemaOf(route.event, "output", schemas))] : []),
      line("result", "result", result),
      line("error", "error", { $ref: "#/components/schemas/Problem" }),
    ],
  };
}

function tells(route: Route): boolean {
  return route.event instanceof z.ZodObject && Object.keys(route.event.shape).length > 0;
}

/** Schema of a shape; named contracts in it become components. */
function schemaOf(shape: z.ZodType, io: "input" | "output", schemas: Json): Json {
  const {
    $schema: _dialect,
    $defs,
    ...schema
  } = z.toJSONSchema(shape, {
    io,
    metadata: named,
    override: ({ zodSchema, jsonSchema }) => {
      const description = z.globalRegistry.get(zodSchema)?.description;
      if (description !== undefined) jsonSchema.description ??= description;
      delete jsonSchema.id;
    },
  });
  for (const [name, definition] of Object.entries($defs ?? {})) schemas[name] ??= relocated(definition);
  return relocated(schema);
}

const named = z.registry<{ id: string }>();
for (const [name, value] of Object.entries(contracts)) {
  if (value instanceof z.ZodType) named.add(value, { id: name });
}

function relocated(schema: unknown): Json {
  const text = JSON.stringify(schema).replaceAll('"$ref":"#/$defs/', '"$ref":"#/components/schemas/');
  const copy: unknown = JSON.parse(text);
  return z.record(z.string(), z.unknown()).parse(copy);
}

function problemSchema(schemas: Json): Json {
  schemaOf(z.strictObject({ problem: Problem }), "output", schemas);
  const { properties, ...rest } = z.record(z.string(), z.unknown()).parse(schemas["Problem"]);
  const fields = z.record(z.string(), z.unknown()).parse(properties);
  const code = { type: "string", description: "Stable error code", enum: Object.keys(ERRORS) };
  return {
    ...rest,
    properties: { ...fields, code },
    "x-doorward-errors": Object.fromEntries(
      Object.entries(ERRORS).map(([name, { status, close, when }]) => [name, { status, close, when }]),
    ),
  };
}

function problemResponses(): Json {
  const content = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
  const codesOf = (status: number): string =>
    Object.entries(ERRORS)
      .filter(([, entry]) => entry.status === status)
      .map(([code]) => code)
      .join(", ");
  const responses: Json = { Problem: { description: "Any other error", content } };
  for (const status of errorStatuses)
    responses[`Problem${status}`] = { description: codesOf(status), content };
  return responses;
}

function refusalsOf(route: Route): Json {
  const statuses =
    route.access === "public" ? [400, 403, 429, 500] : [400, 401, 403, 404, 409, 413, 429, 500, 503];
  if (route.path === "/readyz")
    return { "503": { description: "Not ready yet: the same shape, ready is false" } };
  return Object.fromEntries(
    statuses.map((status) => [String(status), problemRef(`Problem${String(status)}`)]),
  );
}

function problemRef(name: string): Json {
  return { $ref: `#/components/responses/${name}` };
}

function securityOf(route: Route): Json[] {
  return route.access === "grant" ? [{ grant: [] }, {}] : [];
}

function securitySchemes(): Json {
  return {
    grant: {
      type: "http",
      scheme: "bearer",
      description:
        "Token of a grant (dwg_...). Without it, only the operator on the bridge's Unix socket may call routes that are not public.",
    },
  };
}

function tagOf(id: string): string {
  return id.slice(0, id.indexOf("."));
}
