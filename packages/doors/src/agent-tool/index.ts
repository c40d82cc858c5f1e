import { readFileSync } from "node:fs";
import type { Door } from "../door.ts";
import { OpenAgentSession } from "./agent-session.ts";
import { AgentToolDoorAdapter } from "./door.ts";
import { field } from "./mcp/served-client.ts";
import { toolServers } from "./mcp/server.ts";
import { openMachineFiles } from "./open-files.ts";
import { createToolCaller } from "./tool-caller.ts";
import { ALL_TOOLS } from "./tools/all-tools.ts";

/** The agent-tool door: tools in the machine for agents, over MCP. */
export function createAgentToolDoor(): Door {
  return new AgentToolDoorAdapter({
    begin: (door, transport) => new OpenAgentSession(door, transport, openMachineFiles),
    serverOf: toolServers(createToolCaller(ALL_TOOLS), version()),
  });
}

/** Version of this build, as clients are told it. */
function version(): string {
  const description: unknown = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  const found = field(description, "version");
  return typeof found === "string" ? found : "0.0.0";
}
