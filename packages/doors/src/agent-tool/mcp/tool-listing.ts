import { AGENT_TOOLS } from "@doorward/contracts";
import type { Tool as McpTool } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Tool } from "../tool.ts";

const listed = new WeakMap<Tool, McpTool>();

/** A tool as MCP lists it; made once for each. */
export function listingOf(tool: Tool): McpTool {
  const known = listed.get(tool) ?? makeListing(tool);
  listed.set(tool, known);
  return known;
}

function makeListing(tool: Tool): McpTool {
  const { name, title, description, input, output, hints } = tool;
  const { effect } = AGENT_TOOLS[name];
  return {
    name,
    title,
    description,
    inputSchema: schemaOf(input, "input"),
    outputSchema: schemaOf(output, "output"),
    annotations: {
      title,
      readOnlyHint: effect === "reads",
      destructiveHint: hints.destructive,
      idempotentHint: hints.idempotent,
      openWorldHint: effect === "runs" || effect === "acts",
    },
  };
}

/** JSON Schema 2020-12, which MCP assumes; clients that know only older drafts stumble over its name, not its words. */
function schemaOf(schema: z.ZodObject, io: "input" | "output"): McpTool["inputSchema"] {
  const { $schema: _draft, ...made } = z.toJSONSchema(schema, { io, target: "draft-2020-12" });
  return { ...z.record(z.string(), z.json()).parse(made), type: "object" };
}
