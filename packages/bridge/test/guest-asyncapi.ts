// Makes docs/protocol/asyncapi.yaml from the schemas: node --conditions=source --import tsx packages/bridge/test/guest-asyncapi.ts --write
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  EXEC_PROTOCOL,
  ExecClientMessage,
  ExecServerMessage,
  FORWARD_PROTOCOL,
  ForwardClientMessage,
  ForwardServerMessage,
  PipeQuery,
  TERMINAL_PROTOCOL,
  TerminalClientMessage,
  TerminalServerMessage,
} from "@doorward/contracts";
import { stringify } from "yaml";
import * as z from "zod";

/** Where the document is kept. */
export const ASYNCAPI_PATH = fileURLToPath(new URL("../../../docs/protocol/asyncapi.yaml", import.meta.url));

const binary = (first: string, rest: string): object => ({
  contentType: "application/octet-stream",
  summary: `Binary: first byte ${first}, then ${rest}`,
  payload: { type: "string", format: "binary" },
});

const text = (summary: string, schema: string): object => ({
  contentType: "application/json",
  summary,
  payload: { $ref: `#/components/schemas/${schema}` },
});

const channel = (segment: string, protocol: string, messages: Record<string, object>): object => ({
  address: `/v1/machines/{machine}/doors/${segment}`,
  title: protocol,
  parameters: { machine: { description: "Name or id of the machine" } },
  bindings: {
    ws: {
      method: "GET",
      headers: { type: "object", properties: { "Sec-WebSocket-Protocol": { const: protocol } } },
    },
  },
  messages,
});

const operation = (action: "send" | "receive", name: string, messages: readonly string[]): object => ({
  action,
  channel: { $ref: `#/channels/${name}` },
  messages: messages.map((message) => ({ $ref: `#/channels/${name}/messages/${message}` })),
});

const schema = (of: z.ZodType): object => {
  const { $schema: _, ...rest } = z.toJSONSchema(of, { target: "draft-2020-12" });
  return rest;
};

/** The AsyncAPI document of the doors' sockets, from the server's side. */
export function asyncApiDocument(): string {
  const document = {
    asyncapi: "3.0.0",
    info: {
      title: "Doorward: terminals, commands and agents' tools",
      version: "1.0.0",
      description: "What terminal.md and mcp.md say in words. Generated from packages/contracts/src/wire.",
    },
    channels: {
      terminal: channel("terminal", TERMINAL_PROTOCOL, {
        client: text("Control messages of the client", "TerminalClientMessage"),
        server: text("Control messages of the server", "TerminalServerMessage"),
        input: binary("0x02", "the bytes typed"),
        output: binary("0x01", "8 bytes of offset (unsigned, big-endian), then the bytes"),
      }),
      exec: channel("exec", EXEC_PROTOCOL, {
        client: text("Control messages of the client", "ExecClientMessage"),
        server: text("Control messages of the server", "ExecServerMessage"),
        stdin: binary("0x11", "bytes of stdin"),
        stdout: binary("0x12", "bytes of stdout"),
        stderr: binary("0x13", "bytes of stderr"),
      }),
      pipe: {
        address: "/v1/machines/{machine}/doors/pipe",
        title: "A program's stdin and stdout",
        parameters: { machine: { description: "Name or id of the machine" } },
        bindings: { ws: { method: "GET", query: schema(PipeQuery) } },
        messages: {
          line: {
            contentType: "text/plain",
            summary: "Text, with framing=lines: one line of stdin or stdout, without its end",
            payload: { type: "string" },
          },
          bytes: {
            contentType: "application/octet-stream",
            summary: "Binary, with framing=bytes: bytes of stdin or stdout, as they come",
            payload: { type: "string", format: "binary" },
          },
        },
      },
      mcp: channel("agent-tool/mcp", "mcp", {
        message: {
          contentType: "application/json",
          summary: "Text: one JSON-RPC message of MCP; what they are says modelcontextprotocol.io",
          payload: { type: "object", required: ["jsonrpc"], properties: { jsonrpc: { const: "2.0" } } },
        },
      }),
      forward: channel("forward", FORWARD_PROTOCOL, {
        client: text("Control messages of the client", "ForwardClientMessage"),
        server: text("Control messages of the server", "ForwardServerMessage"),
        bytes: {
          contentType: "application/octet-stream",
          summary: "Binary: bytes of the connection, as they are, in either direction",
          payload: { type: "string", format: "binary" },
        },
      }),
    },
    operations: {
      terminalReceive: operation("receive", "terminal", ["client", "input"]),
      terminalSend: operation("send", "terminal", ["server", "output"]),
      execReceive: operation("receive", "exec", ["client", "stdin"]),
      execSend: operation("send", "exec", ["server", "stdout", "stderr"]),
      pipeReceive: operation("receive", "pipe", ["line", "bytes"]),
      pipeSend: operation("send", "pipe", ["line", "bytes"]),
      mcpReceive: operation("receive", "mcp", ["message"]),
      mcpSend: operation("send", "mcp", ["message"]),
      forwardReceive: operation("receive", "forward", ["client", "bytes"]),
      forwardSend: operation("send", "forward", ["server", "bytes"]),
    },
    components: {
      schemas: {
        TerminalClientMessage: schema(TerminalClientMessage),
        TerminalServerMessage: schema(TerminalServerMessage),
        ExecClientMessage: schema(ExecClientMessage),
        ExecServerMessage: schema(ExecServerMessage),
        ForwardClientMessage: schema(ForwardClientMessage),
        ForwardServerMessage: schema(ForwardServerMessage),
      },
    },
  };
  return stringify(document, { lineWidth: 110, aliasDuplicateObjects: false });
}

if (process.argv.includes("--write")) writeFileSync(ASYNCAPI_PATH, asyncApiDocument());
