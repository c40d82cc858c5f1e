import type { CallToolResult, ContentBlock } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { CallOutcome } from "../tool-caller.ts";
import { resourceUriOf } from "./resource-uri.ts";

interface MachineRef {
  readonly id: string;
  readonly name: string;
}

const Structured = z.record(z.string(), z.unknown());

/** What became of a call as MCP answers it; every answer names the machine, for programs and for models. */
export function callResultOf(outcome: CallOutcome, machine: MachineRef): CallToolResult {
  const { id, name } = machine;
  const at = { type: "text", text: `[in machine "${name}", ${id}]` } as const;
  const meta = { "doorward/machine": { id, name } };
  if (outcome.kind === "failed") {
    const { code, message, hint } = outcome;
    const text = `${code}: ${message}${hint === null ? "" : `\n${hint}`}`;
    return {
      content: [{ type: "text", text }, at],
      isError: true,
      _meta: { ...meta, "doorward/error": { code, message, ...(hint === null ? {} : { hint }) } },
    };
  }
  const { text, structured, images = [], files = [], failed } = outcome.answer;
  return {
    content: [
      { type: "text", text },
      ...images.map(({ mimeType, base64 }): ContentBlock => ({ type: "image", mimeType, data: base64 })),
      ...files.map((path): ContentBlock => linkTo(path, machine)),
      at,
    ],
    structuredContent: Structured.parse(structured),
    ...(failed === true ? { isError: true } : {}),
    _meta: meta,
  };
}

function linkTo(path: string, machine: MachineRef): ContentBlock {
  const name = path.slice(path.lastIndexOf("/") + 1) || path;
  return { type: "resource_link", uri: resourceUriOf(machine.name, path), name, title: path };
}
