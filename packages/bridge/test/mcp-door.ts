import type { Door, DoorEntry } from "@doorward/doors";
import type { RawData, WebSocket } from "ws";

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
}

/** The far side of MCP over a WebSocket, as a test drives it: it answers what it is asked, and remembers everything. */
export class McpFarSide {
  /** Every message of every connection, in order. */
  readonly heard: Message[] = [];
  /** Kinds that clients named on their upgrade are not seen here; subjects of grants are. */
  readonly subjects: string[] = [];
  readonly sockets: WebSocket[] = [];
  /** Methods that are never answered. */
  readonly silent = new Set<string>();

  /** The door for a gateway. */
  entry(): DoorEntry {
    return {
      id: "agent-tool",
      endpoints: [
        {
          segment: "agent-tool/mcp",
          protocol: "mcp",
          operations: ["agent-tool.list", "agent-tool.read", "agent-tool.exec"],
          implicit: ["agent-tool.list"],
        },
      ],
      load: () => Promise.resolve(this.#door()),
    };
  }

  methods(): (string | undefined)[] {
    return this.heard.map(({ method }) => method);
  }

  #door(): Door {
    return {
      id: "agent-tool",
      operations: [],
      open: (session, socket) => {
        this.subjects.push(session.subject);
        this.sockets.push(socket);
        socket.on("message", (data: RawData) => this.#take(socket, (data as Buffer).toString()));
        return new Promise((resolve) => socket.once("close", () => resolve()));
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  #take(socket: WebSocket, text: string): void {
    const message = JSON.parse(text) as Message;
    this.heard.push(message);
    if (message.id === undefined || message.method === undefined || this.silent.has(message.method)) return;
    const result = message.method === "initialize" ? { protocolVersion: "2025-11-25" } : { echo: message };
    socket.send(JSON.stringify({ jsonrpc: "2.0", id: message.id, result }));
  }
}
