// Drives a door with the SDK of revision 2026-07-28, which talks to older servers too.
import process from "node:process";
import { URL } from "node:url";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { drive } from "./drive.mjs";

const { transport, url, token, command, args, env, mode, patienceMs } = JSON.parse(process.argv[2]);

const open = () =>
  transport === "stdio"
    ? new StdioClientTransport({ command, args, env })
    : new StreamableHTTPClientTransport(new URL(url), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      });

const client = new Client(
  { name: "sdk-v2", version: "1" },
  { capabilities: {}, ...(mode === undefined ? {} : { versionNegotiation: { mode } }) },
);
await drive(client, open(), (params, options) => client.callTool(params, options), patienceMs);
