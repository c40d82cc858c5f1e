import assert from "node:assert/strict";
import * as z from "zod";
import type { CallOutcome } from "../../doors/src/agent-tool/tool-caller.ts";
import { defineTool, type Tool } from "../../doors/src/agent-tool/tool.ts";
import { APPROVAL_TOOLS } from "../../doors/src/agent-tool/tools/approval-tools.ts";
import { agentLab, type AgentLab, type AgentLabOptions } from "./agent-tool-lab.ts";

/** No machine: what is called here needs none. */
const nowhere = { dial: () => Promise.reject(new Error("no machine here")) };

/** A tool of the table that does what the test says, and counts. */
export function fixture(
  act: (input: { path: string; content?: string | undefined }, signal: AbortSignal) => Promise<string>,
): { tool: Tool; ran: () => number } {
  let ran = 0;
  const tool = defineTool({
    name: "write_file",
    title: "Fixture",
    description: "A fixture",
    input: z.strictObject({ path: z.string().min(1), content: z.string().optional() }),
    output: z.strictObject({ done: z.string() }),
    hints: { idempotent: false, destructive: true },
    call: async (input, { signal }) => {
      ran += 1;
      const done = await act(input, signal);
      return { structured: { done }, text: done, target: input.path };
    },
  });
  return { tool, ran: () => ran };
}

/** A session with these tools, and those of its approvals. */
export const open = (tools: readonly Tool[], more: Partial<AgentLabOptions> = {}): AgentLab =>
  agentLab({ tools: [...tools, ...APPROVAL_TOOLS], link: nowhere, workdir: "/workspace/shop", ...more });

/** Why a call failed; it is a fault that one did not. */
export function failure(outcome: CallOutcome): Extract<CallOutcome, { kind: "failed" }> {
  if (outcome.kind === "failed") return outcome;
  assert.fail("it was answered");
}
