import type { Door } from "../door.ts";
import { OpenAgentSession, type FilesOpener } from "./agent-session.ts";
import { AgentToolDoorAdapter } from "./door.ts";
import { toolServers } from "./mcp/server.ts";
import { createToolCaller } from "./tool-caller.ts";
import type { Tool } from "./tool.ts";

/** What the agent-tool door is made of where not all of it is the usual. */
export interface AgentToolDoorParts {
  readonly tools: readonly Tool[];
  readonly openFiles: FilesOpener;
  readonly version: string;
}

/** The agent-tool door: tools in the machine for agents, over MCP. */
export function createAgentToolDoor({ tools, openFiles, version }: AgentToolDoorParts): Door {
  return new AgentToolDoorAdapter({
    begin: (door, transport) => new OpenAgentSession(door, transport, openFiles),
    serverOf: toolServers(createToolCaller(tools), version),
  });
}
