import type { IncomingMessage, ServerResponse } from "node:http";
import { DoorwardError } from "@doorward/contracts";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { WebSocket } from "ws";
import type { Door, DoorOperation, DoorSession } from "../door.ts";
import type { AgentSession, OpenAgentSession } from "./agent-session.ts";
import { AGENT_TOOL_ENDPOINTS, MCP_PROTOCOL } from "./endpoints.ts";
import { HttpSession } from "./mcp/http-session.ts";
import type { McpServerOf } from "./mcp/served-client.ts";
import { SocketTransport } from "./mcp/socket-transport.ts";

/** What the door is made of. */
export interface AgentToolDoorOptions {
  /** Begins what the tools of one session work with. */
  readonly begin: (door: DoorSession, transport: AgentSession["transport"]) => OpenAgentSession;
  /** Makes the servers that answer. */
  readonly serverOf: McpServerOf;
}

interface Kept {
  readonly session: OpenAgentSession;
  readonly http: HttpSession;
}

const OPERATIONS: readonly DoorOperation[] = AGENT_TOOL_ENDPOINTS.flatMap(({ operations }) =>
  operations.map((operation) => ({ operation, approval: false })),
);

/** The agent-tool door: MCP over plain requests, and over WebSockets; both speak every revision. */
export class AgentToolDoorAdapter implements Door {
  readonly id = "agent-tool";
  readonly operations = OPERATIONS;
  readonly #options: AgentToolDoorOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #sessions = new Set<OpenAgentSession>();
  #closed = false;

  constructor(options: AgentToolDoorOptions) {
    this.#options = options;
  }

  async open(door: DoorSession, socket: WebSocket): Promise<void> {
    if (this.#closed) throw stopping();
    if (door.protocol !== MCP_PROTOCOL)
      throw new DoorwardError({
        code: "PROTOCOL_ERROR",
        message: `Cannot open door "agent-tool": it does not speak "${door.protocol}"`,
      });
    const transport = new SocketTransport(socket, door);
    const session = this.#begin(door, door.announced === "stdio" ? "stdio" : "websocket");
    serveStdio(() => this.#options.serverOf({ session, client: () => transport.client }), { transport });
    try {
      await transport.ended;
    } finally {
      await this.#end(session);
    }
  }

  async request(door: DoorSession, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#closed) throw stopping();
    await this.#keptOf(door).http.serve(request, response);
  }

  busy(door: DoorSession): boolean {
    return this.#kept.get(door.id)?.session.busy === true;
  }

  /** Takes no more sessions and ends the open ones. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#sessions].map((session) => this.#end(session)));
  }

  #keptOf(door: DoorSession): Kept {
    const known = this.#kept.get(door.id);
    if (known !== undefined) return known;
    const session = this.#begin(door, "http");
    const kept = { session, http: new HttpSession(session, this.#options.serverOf) };
    this.#kept.set(door.id, kept);
    door.signal.addEventListener(
      "abort",
      () => {
        this.#kept.delete(door.id);
        void this.#end(session);
      },
      { once: true },
    );
    return kept;
  }

  #begin(door: DoorSession, transport: AgentSession["transport"]): OpenAgentSession {
    const session = this.#options.begin(door, transport);
    this.#sessions.add(session);
    return session;
  }

  async #end(session: OpenAgentSession): Promise<void> {
    await session[Symbol.asyncDispose]();
    this.#sessions.delete(session);
  }
}

function stopping(): DoorwardError {
  return new DoorwardError({
    code: "BRIDGE_STOPPING",
    message: 'Cannot open door "agent-tool": the bridge stops',
  });
}
