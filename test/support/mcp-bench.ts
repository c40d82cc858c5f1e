import type { Operation } from "@doorward/contracts";
import type { DoorEntry } from "@doorward/doors";
import * as z from "zod";
import { startGateway, type Bench } from "../../packages/bridge/test/gateway-harness.ts";
import { OpenAgentSession } from "../../packages/doors/src/agent-tool/agent-session.ts";
import { AgentToolDoorAdapter } from "../../packages/doors/src/agent-tool/door.ts";
import { AGENT_TOOL_ENDPOINTS } from "../../packages/doors/src/agent-tool/endpoints.ts";
import type { McpServerOf } from "../../packages/doors/src/agent-tool/mcp/served-client.ts";
import { toolServers } from "../../packages/doors/src/agent-tool/mcp/server.ts";
import { createToolCaller } from "../../packages/doors/src/agent-tool/tool-caller.ts";
import { defineTool, type Tool, type ToolCall } from "../../packages/doors/src/agent-tool/tool.ts";

export const AGENT_OPERATIONS: Operation[] = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
];

/** What the fixture tools were asked, and the calls that run. */
export interface Calls {
  readonly made: { readonly session: string; readonly text: string }[];
  readonly running: Set<ToolCall>;
  /** Calls whose signal aborted. */
  aborted: number;
}

/** The far side of the tools: one that answers, one that fails, one that never ends. */
export function fixtureTools(calls: Calls): readonly Tool[] {
  const text = z.string().max(3_000_000).describe("Any text");
  return [
    defineTool({
      name: "read_file",
      title: "Echo",
      description: "Answers with its argument.",
      input: z.strictObject({ path: text }),
      output: z.strictObject({ echo: z.string().describe("The argument") }),
      hints: { idempotent: true, destructive: false },
      call: ({ path }, { session }) => {
        calls.made.push({ session: session.door.id, text: path });
        return Promise.resolve({
          structured: { echo: path },
          text: `echo ${path}`,
          files: ["/workspace/a b.txt"],
        });
      },
    }),
    defineTool({
      name: "write_file",
      title: "Fail",
      description: "Fails.",
      input: z.strictObject({ path: text }),
      output: z.strictObject({}),
      hints: { idempotent: false, destructive: true },
      call: (): Promise<never> => Promise.reject(new Error("a fault inside")),
    }),
    defineTool({
      name: "run_command",
      title: "Hang",
      description: "Tells that it began and never ends by itself.",
      input: z.strictObject({ command: text }),
      output: z.strictObject({}),
      hints: { idempotent: false, destructive: true },
      call: (_input, call) => {
        calls.running.add(call);
        call.progress("began");
        return new Promise<never>((_resolve, reject) => {
          const end = (): void => {
            calls.running.delete(call);
            calls.aborted += 1;
            reject(call.signal.reason as Error);
          };
          call.signal.addEventListener("abort", end, { once: true });
          if (call.signal.aborted) end();
        });
      },
    }),
  ];
}

/** A gateway with the real agent-tool door behind it, whose tools are a test's. */
export interface McpBench extends AsyncDisposable {
  readonly bench: Bench;
  readonly calls: Calls;
  readonly url: string;
}

/** The agent-tool door with servers of a test's own; nothing opens files. */
export function doorEntry(serverOf: McpServerOf): DoorEntry {
  return {
    id: "agent-tool",
    endpoints: AGENT_TOOL_ENDPOINTS,
    load: () =>
      Promise.resolve(
        new AgentToolDoorAdapter({
          begin: (door, transport) =>
            new OpenAgentSession(door, transport, () => Promise.reject(new Error("no files here"))),
          serverOf,
        }),
      ),
  };
}

/** Starts the gateway on real sockets, with the real grants. */
export async function startMcp(
  options: { readonly serverOf?: McpServerOf; readonly config?: Parameters<typeof startGateway>[0] } = {},
): Promise<McpBench> {
  const calls: Calls = { made: [], running: new Set(), aborted: 0 };
  const serverOf = options.serverOf ?? toolServers(createToolCaller(fixtureTools(calls)), "0.0.0");
  const bench = await startGateway({ ...options.config, doors: [doorEntry(serverOf)] });
  return {
    bench,
    calls,
    url: `http://127.0.0.1:${bench.port}/v1/machines/alpha/doors/agent-tool/mcp`,
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

/** Header values of the revision without a handshake. */
export const MODERN = "2026-07-28";

/** A request of the revision without a handshake, with everything that it asks for. */
export function modernRequest(
  id: number,
  method: string,
  params: Record<string, unknown> = {},
): { body: string; headers: Record<string, string> } {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
    ...(params["_meta"] as object | undefined),
  };
  const name = params["name"] ?? params["uri"];
  return {
    body: JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta } }),
    headers: {
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": MODERN,
      "mcp-method": method,
      ...(typeof name === "string" ? { "mcp-name": name } : {}),
    },
  };
}

/** A request of a revision with a handshake. */
export function legacyRequest(
  id: number | null,
  method: string,
  params: Record<string, unknown> = {},
  session?: string,
): { body: string; headers: Record<string, string> } {
  return {
    body: JSON.stringify({ jsonrpc: "2.0", ...(id === null ? {} : { id }), method, params }),
    headers: {
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2025-11-25",
      ...(session === undefined ? {} : { "mcp-session-id": session }),
    },
  };
}

/** Parameters of the handshake. */
export const INITIALIZE = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "old test", version: "1" },
};

/** The messages of an answer, plain or streamed. */
export function messagesOf(text: string): Record<string, never>[] {
  if (!text.startsWith("event:") && !text.startsWith("data:")) return [JSON.parse(text)] as never;
  return text
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trim())
    .filter((data) => data !== "")
    .map((data) => JSON.parse(data) as never);
}
