import { AGENT_TOOLS } from "@doorward/contracts";
import type { ApprovalRequest } from "../door.ts";
import type { AgentSession } from "./agent-session.ts";
import type { ShownEffect, ShownFile, Tool } from "./tool.ts";

/** Where a line of shown text is broken; escapes make it up to six times as long, which must still be shown. */
const LINE_CHARACTERS = 300;

/** A question about a call, and the file that it shows. */
export interface AskedCall {
  readonly request: ApprovalRequest;
  readonly file: ShownFile | null;
}

/**
 * What the operator is asked about a call: its full effect, bound to tool, arguments, grant and the file as it is now. An approval for a time
 * covers exactly the same call; what runs programs is asked about each time, because a shell can do anything.
 */
export async function approvalRequest(
  tool: Tool,
  input: Record<string, unknown>,
  session: AgentSession,
): Promise<AskedCall> {
  const { operation, effect } = AGENT_TOOLS[tool.name];
  const { lines, file } = (await tool.effect?.(input, session)) ?? argumentsAlone(input);
  return {
    request: {
      operation,
      what: `call ${tool.name}`,
      summary: [`${tool.name}:`, ...lines].flatMap(brokenUp).join("\n"),
      bound: { tool: tool.name, arguments: input, grant: session.door.grantId, file },
      shape: effect === "runs" ? null : { of: { tool: tool.name, arguments: input } },
    },
    file,
  };
}

function argumentsAlone(input: Record<string, unknown>): ShownEffect {
  return { lines: argumentLines(input), file: null };
}

/** Arguments one by one; text of several lines line by line. */
export function argumentLines(input: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(input).flatMap(([name, value]) =>
    typeof value === "string" && value.includes("\n")
      ? [`${name}:`, ...value.split("\n").map((line) => `  | ${line}`)]
      : [`${name}: ${JSON.stringify(value)}`],
  );
}

function brokenUp(line: string): string[] {
  const parts = [];
  for (const one of line.split("\n")) {
    for (let at = 0; at === 0 || at < one.length; at += LINE_CHARACTERS)
      parts.push(`${at === 0 ? "" : "  ... "}${one.slice(at, at + LINE_CHARACTERS)}`);
  }
  return parts;
}
