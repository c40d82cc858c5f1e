import type { McpServer, RequestId } from "@modelcontextprotocol/server";
import { CLIENT_INFO_META_KEY } from "@modelcontextprotocol/server";
import type { AgentSession, ClientInfo } from "../agent-session.ts";

/** Revisions with a handshake and sessions; the newest comes first. */
export const SESSION_VERSIONS: readonly string[] = ["2025-11-25", "2025-06-18"];

/** Whom an MCP server answers: one client over a socket, or the clients of one grant over HTTP. */
export interface ServedClient {
  readonly session: AgentSession;
  /** What the client that sent a request says of itself; null when it did not, or not yet. */
  client(request: RequestId): ClientInfo | null;
}

/** Makes the MCP server for one socket, or for requests over HTTP. */
export type McpServerOf = (served: ServedClient) => McpServer;

/** What a message says of the client that sent it: an `initialize`, or any request of the revisions without it. */
export function clientInfoOf(message: unknown): ClientInfo | null {
  const params = field(message, "params");
  const named = field(message, "method") === "initialize" ? field(params, "clientInfo") : undefined;
  const info = named ?? field(field(params, "_meta"), CLIENT_INFO_META_KEY);
  const name = field(info, "name");
  const version = field(info, "version");
  if (typeof name !== "string") return null;
  return { name: name.slice(0, 100), version: typeof version === "string" ? version.slice(0, 50) : "" };
}

/** A field of what may be anything. */
export function field(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}
