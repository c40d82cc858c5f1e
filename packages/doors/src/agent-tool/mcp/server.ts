import { isToolName } from "@doorward/contracts";
import {
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type CallToolRequest,
  type CallToolResult,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/server/validators/ajv";
import { FirstAbort } from "../../first-abort.ts";
import type { ToolCaller } from "../tool-caller.ts";
import { callResultOf } from "./call-result.ts";
import { instructionsFor } from "./instructions.ts";
import { progressOf } from "./progress.ts";
import { readResource, resourceTemplatesOf } from "./resources.ts";
import { SESSION_VERSIONS, type McpServerOf, type ServedClient } from "./served-client.ts";
import { listingOf } from "./tool-listing.ts";

/** Revisions that are spoken; the newest of those with a handshake comes first. */
const MCP_VERSIONS: readonly string[] = [...SESSION_VERSIONS, "2026-07-28"];

// Nothing is asked of clients, so nothing is ever validated with it; one for all saves making one for each request.
const validator = new AjvJsonSchemaValidator();

/** MCP servers whose tools are those of a caller. */
export function toolServers(caller: ToolCaller, version: string): McpServerOf {
  return (served) => makeServer(caller, version, served);
}

function makeServer(caller: ToolCaller, version: string, served: ServedClient): McpServer {
  const { session } = served;
  const list = (): ReturnType<ToolCaller["list"]> => caller.list(session);
  const mcp = new McpServer(
    { name: "doorward", title: `Machine ${session.door.machine.name}`, version },
    {
      capabilities: { tools: { listChanged: false }, resources: { listChanged: false, subscribe: false } },
      instructions: instructionsFor(session, list()),
      jsonSchemaValidator: validator,
      supportedProtocolVersions: [...MCP_VERSIONS],
    },
  );
  const { server } = mcp;
  server.setRequestHandler("tools/list", ({ params }) => {
    guardCursor(params?.cursor);
    return { tools: list().map(listingOf) };
  });
  server.setRequestHandler("tools/call", (request, context) => call(caller, served, request, context));
  server.setRequestHandler("resources/list", ({ params }) => {
    guardCursor(params?.cursor);
    return { resources: [] };
  });
  server.setRequestHandler("resources/templates/list", ({ params }) => {
    guardCursor(params?.cursor);
    return { resourceTemplates: resourceTemplatesOf(session) };
  });
  server.setRequestHandler("resources/read", ({ params }, { mcpReq }) =>
    readResource(params.uri, caller, { session, client: served.client(mcpReq.id) }, mcpReq.signal),
  );
  return mcp;
}

async function call(
  caller: ToolCaller,
  served: ServedClient,
  { params }: CallToolRequest,
  context: ServerContext,
): Promise<CallToolResult> {
  const { name } = params;
  const { session } = served;
  if (!isToolName(name) || caller.find(name) === undefined)
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${name.slice(0, 100)}`);
  using either = new FirstAbort(context.mcpReq.signal, session.door.signal);
  const outcome = await caller.call({
    session,
    name,
    arguments: params.arguments ?? {},
    client: served.client(context.mcpReq.id),
    signal: either.signal,
    progress: progressOf(context),
  });
  return callResultOf(outcome, session.door.machine);
}

/** Lists are short and come whole, so no cursor was ever given out. */
function guardCursor(cursor: string | undefined): void {
  if (cursor === undefined) return;
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, "Invalid cursor: lists here come whole");
}
