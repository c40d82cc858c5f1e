import { AGENT_TOOL_OPERATIONS, OPERATIONS, type Operation } from "@doorward/contracts";
import type { DoorEndpoint } from "../door.ts";

/** Subprotocol of MCP over a WebSocket: one JSON-RPC message in each text frame. */
export const MCP_PROTOCOL = "mcp";

/** Bytes of the largest MCP message, on a socket as in a request. */
export const MCP_MESSAGE_BYTES = 4_194_304;

const served: readonly Operation[] = OPERATIONS.filter((one) =>
  AGENT_TOOL_OPERATIONS.some((operation) => operation === one),
);

/** The agent-tool door's endpoint: MCP, over plain HTTP and over a WebSocket, at one address. */
export const AGENT_TOOL_ENDPOINTS: readonly DoorEndpoint[] = [
  {
    segment: "agent-tool/mcp",
    protocol: MCP_PROTOCOL,
    methods: ["POST", "GET", "DELETE"],
    messageBytes: MCP_MESSAGE_BYTES,
    operations: served,
    implicit: served,
  },
];
