// Drives a door with the SDK of the revisions before 2026-07-28, over HTTP, a WebSocket or a program's stdin and stdout.
import process from "node:process";
import { URL } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { drive } from "./drive.mjs";

const { transport, url, token, command, args, env, patienceMs } = JSON.parse(process.argv[2]);

// This transport can't send headers, so the token travels as a subprotocol, as browsers do it.
class Socket extends globalThis.WebSocket {
  constructor(target, protocols) {
    super(target, [...[protocols].flat(), `bearer.${token}`]);
  }
}

function open() {
  if (transport === "stdio") return new StdioClientTransport({ command, args, env });
  if (transport === "http")
    return new StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    });
  globalThis.WebSocket = Socket;
  return new WebSocketClientTransport(new URL(url.replace("http:", "ws:")));
}

const client = new Client({ name: "sdk-v1", version: "1" }, { capabilities: {} });
await drive(client, open(), (params, options) => client.callTool(params, undefined, options), patienceMs);
