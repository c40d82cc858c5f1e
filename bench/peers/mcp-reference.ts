import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The MCP SDK's own server in a process of its own, on a loopback port. */
export interface McpReference extends AsyncDisposable {
  readonly url: string;
}

/** Starts it; resolves once it listens. */
export async function openMcpReference(): Promise<McpReference> {
  const file = fileURLToPath(new URL("mcp-reference.mjs", import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const port = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the SDK's server ended with ${String(code)}`)));
  });
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exited;
    },
  };
}
