import { DOOR_REGISTRY } from "@doorward/doors";

type Json = Record<string, unknown>;

const TAG = "mcp";
const MESSAGE = { $ref: "#/components/schemas/JsonRpcMessage" };
const json = { "application/json": { schema: MESSAGE } };
const header = (name: string, description: string): Json => ({
  name,
  in: "header",
  required: false,
  schema: { type: "string" },
  description,
});
const VERSION = header("MCP-Protocol-Version", "Revision that the client speaks, e.g. 2025-11-25");
const SESSION = header("Mcp-Session-Id", "From the answer to initialize; revisions before 2026-07-28");
const problem = (status: number): Json => ({ $ref: `#/components/responses/Problem${String(status)}` });
const inJson = (status: number): Json => ({
  description: `JSON-RPC error (${String(status)})`,
  content: json,
});

/** MCP over plain HTTP, as paths of the OpenAPI document: what is not a route of the control API and yet plain requests. */
export function mcpPaths(): Record<string, Json> {
  const endpoints = DOOR_REGISTRY.flatMap(({ endpoints: own }) => own);
  const paths = endpoints
    .filter(({ methods }) => methods !== undefined)
    .map(({ segment }): [string, Json] => [`/v1/machines/{machine}/doors/${segment}`, mcpItem()]);
  return Object.fromEntries([
    ...paths,
    ["/.well-known/oauth-protected-resource/{resource}", { get: metadataOperation() }],
  ]);
}

/** Schemas that the paths name. */
export const MCP_SCHEMAS: Json = {
  JsonRpcMessage: {
    type: "object",
    description: "One message of JSON-RPC 2.0 as MCP has it; batches are refused",
    properties: {
      jsonrpc: { const: "2.0" },
      id: { type: ["string", "integer"] },
      method: { type: "string" },
      params: { type: "object" },
      result: { type: "object" },
      error: { type: "object" },
    },
    required: ["jsonrpc"],
  },
};

/** The tag of these paths. */
export const MCP_TAG = {
  name: TAG,
  description:
    "The agent-tool door: MCP's Streamable HTTP; a WebSocket with subprotocol mcp has the same address",
};

function mcpItem(): Json {
  const machine = {
    name: "machine",
    in: "path",
    required: true,
    schema: { type: "string" },
    description: "Name or id",
  };
  const common = { tags: [TAG], "x-doorward-access": "grant", security: [{ grant: [] }] };
  return {
    parameters: [machine],
    post: {
      operationId: "mcp.message",
      ...common,
      summary: "Send one message of MCP; a request is answered with JSON or a stream of events",
      parameters: [VERSION, SESSION],
      requestBody: { required: true, content: json },
      responses: {
        "200": {
          description: "The answer, at once or as the last event",
          content: { ...json, "text/event-stream": { schema: { type: "string" } } },
        },
        "202": { description: "A notification was taken" },
        "400": inJson(400),
        "401": { ...challenge() },
        "403": problem(403),
        "404": { description: "No such machine, or (JSON-RPC error -32001) no such session" },
        "413": inJson(413),
        "415": inJson(415),
        "429": inJson(429),
      },
    },
    delete: {
      operationId: "mcp.endClient",
      ...common,
      summary: "Forget a client's session id; what it asked and waits for is cancelled",
      parameters: [SESSION],
      responses: { "200": { description: "It is forgotten" }, "401": challenge(), "404": inJson(404) },
    },
  };
}

function challenge(): Json {
  return {
    description: "No valid token; WWW-Authenticate names the reason and the resource's metadata (RFC 9728)",
    headers: { "WWW-Authenticate": { schema: { type: "string" } } },
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  };
}

function metadataOperation(): Json {
  const fields = {
    resource: { type: "string" },
    resource_name: { type: "string" },
    bearer_methods_supported: { type: "array", items: { type: "string" } },
  };
  return {
    operationId: "mcp.resourceMetadata",
    tags: [TAG],
    summary: "Metadata of a door as a protected resource (RFC 9728); the path of the door follows",
    "x-doorward-access": "public",
    security: [],
    parameters: [{ name: "resource", in: "path", required: true, schema: { type: "string" } }],
    responses: {
      "200": {
        description: "It names no authorization server: the operator mints tokens",
        content: {
          "application/json": { schema: { type: "object", properties: fields, required: ["resource"] } },
        },
      },
    },
  };
}
