/** The MCP SDK's own server, without a machine, a grant or evidence: the same two tools, done on this host. */
import process from "node:process";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { McpServer, createMcpHandler } from "@modelcontextprotocol/server";
import { toNodeHandler } from "@modelcontextprotocol/node";
import * as z from "zod";

const text = (value) => ({ content: [{ type: "text", text: value }], structuredContent: { value } });
const output = z.object({ value: z.string() });

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: "reference", version: "1.0.0" });
  server.registerTool(
    "read_file",
    { inputSchema: z.object({ path: z.string() }), outputSchema: output },
    async ({ path }) => text(await readFile(path, "utf8")),
  );
  server.registerTool(
    "run_command",
    { inputSchema: z.object({ command: z.string() }), outputSchema: output },
    ({ command }) =>
      new Promise((resolve) => {
        const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "pipe"] });
        let said = "";
        child.stdout.on("data", (bytes) => (said += String(bytes)));
        child.once("close", (code) => resolve(text(`${String(code)} ${said}`)));
      }),
  );
  return server;
});

const server = createServer(toNodeHandler(handler));
server.listen(0, "127.0.0.1", () => process.stdout.write(`${String(server.address().port)}\n`));
process.stdin.resume().once("end", () => process.exit(0));
