import * as z from "zod";
import type { PendingAnswer, Tool, ToolAnswer } from "./tool.ts";
import type { PendingCall } from "./pending-calls.ts";

/** Fields of an answer that says that its call waits for the operator. */
export const pendingFields = {
  status: z.string().optional().describe('"pending" while the call waits for the operator'),
  approval_id: z.string().optional().describe("Id to call check_approval with"),
  expires_at: z.string().optional().describe("When it is refused by itself"),
  message: z.string().optional().describe("What to do next"),
};

/** A tool as it is offered where its calls wait for the operator: its answer may say so instead of its result. */
export function mayPend(tool: Tool): Tool {
  const output = z.strictObject({ ...pendingFields, ...optional(tool.output.shape) });
  return { ...tool, output };
}

function optional(shape: Tool["output"]["shape"]): Record<string, z.ZodOptional> {
  return Object.fromEntries(Object.entries(shape).map(([name, field]) => [name, z.optional(field)]));
}

/** The answer of a call that waits for the operator. */
export function pendingAnswer(
  { id, expiresAt, tool }: Pick<PendingCall, "id" | "expiresAt" | "tool">,
  machine: string,
): ToolAnswer<PendingAnswer> {
  const message =
    `The call of ${tool} waits for the operator, who decides on the host: nothing was done yet. ` +
    `Call check_approval with approval_id "${id}" (and wait_seconds, e.g. 60) to get its result. ` +
    `Do not call ${tool} again for this. It is refused by itself at ${expiresAt}`;
  return {
    structured: { machine, status: "pending", approval_id: id, expires_at: expiresAt, message },
    text: message,
    outcome: "pending",
    approval: id,
  };
}
