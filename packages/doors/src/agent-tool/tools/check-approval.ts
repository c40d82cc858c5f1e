import { ToolName } from "@doorward/contracts";
import * as z from "zod";
import { DoorwardError } from "@doorward/contracts";
import type { PendingCall } from "../pending-calls.ts";
import { defineTool, type ToolAnswer } from "../tool.ts";

const ApprovalId = z
  .string()
  .max(40)
  .regex(/^a_[a-z0-9]{10,32}$/)
  .describe("Id that the pending answer gave");

const Output = z.strictObject({
  approval_id: ApprovalId,
  tool: ToolName,
  status: z
    .enum(["pending", "running", "refused", "failed", "done"])
    .describe("pending and running: ask again; refused is final; done and failed have a result"),
  expires_at: z.string().describe("When a pending call is refused by itself"),
  message: z.string().describe("What it means, and what to do next"),
  result: z.unknown().optional().describe("The answer of the tool, in its own form, once it ran"),
});

type Answer = ToolAnswer<z.input<typeof Output>>;

/** Tells what became of a call that waits for the operator. */
export const checkApproval = defineTool({
  name: "check_approval",
  title: "Check an approval",
  description:
    "Tells whether the operator approved a call that answered with status pending, and gives its result once it ran. " +
    "Set wait_seconds to wait instead of asking again and again. A refusal is final.",
  input: z.strictObject({
    approval_id: ApprovalId,
    wait_seconds: z.int().min(0).max(300).optional().describe("Wait so long for the decision; 0 when absent"),
  }),
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async ({ approval_id: id, wait_seconds: wait }, { session, signal }) => {
    const call = await session.pending.wait(id, (wait ?? 0) * 1000, signal);
    signal.throwIfAborted();
    if (call === undefined) throw unknown(id);
    return answerOf(call);
  },
});

function answerOf(call: PendingCall): Answer {
  const { id, tool, expiresAt, state, outcome } = call;
  const common = { approval_id: id, tool, expires_at: expiresAt };
  if (outcome === null) return undecided(common, state === "running");
  if (outcome.kind === "answered") {
    const { structured, text, images, files, failed } = outcome.answer;
    const message = `The operator approved ${id}, and ${tool} ran`;
    return {
      structured: { ...common, status: "done", message, result: structured },
      text: `${message}:\n${text}`,
      approval: id,
      ...(images === undefined ? {} : { images }),
      ...(files === undefined ? {} : { files }),
      ...(failed === undefined ? {} : { failed }),
    };
  }
  const { code, message, hint } = outcome;
  const status = state === "refused" ? "refused" : "failed";
  const text = `${message} (${code})${hint === null ? "" : `. ${hint}`}`;
  return { structured: { ...common, status, message: text }, text, failed: true, approval: id, code };
}

function undecided(
  common: Pick<z.input<typeof Output>, "approval_id" | "tool" | "expires_at">,
  running: boolean,
): Answer {
  const { approval_id: id, tool, expires_at: expiresAt } = common;
  const message = running
    ? `The operator approved ${id}, and ${tool} runs now: check again for its result`
    : `The operator has not decided about ${id} yet: check again, with wait_seconds; it is refused by itself at ${expiresAt}`;
  return {
    structured: { ...common, status: running ? "running" : "pending", message },
    text: message,
    approval: id,
  };
}

function unknown(id: string): DoorwardError {
  return new DoorwardError({
    code: "APPROVAL_NOT_FOUND",
    message: `Cannot check "${id}": no call of this session waits, or waited, under this id`,
    hint: "Calls that wait end with their session; make the call again",
  });
}
