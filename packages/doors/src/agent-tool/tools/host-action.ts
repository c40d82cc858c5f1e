import { DenialError, type ActionEvent, type HostActionResponse } from "@doorward/contracts";
import * as z from "zod";
import { hostMutation } from "../allowance.ts";
import type { AgentSession } from "../agent-session.ts";
import { pendingFields } from "../pending-answer.ts";
import type { Tool, ToolAnswer, ToolCall } from "../tool.ts";
import { untilAsked } from "./until-asked.ts";

/** What every tool that acts on the host answers. */
export const HostOutput = z.strictObject({
  ...pendingFields,
  status: z
    .enum(["pending", "done", "planned", "failed"])
    .describe("pending: the operator has not decided yet; planned: a dry run, nothing happened"),
  message: z.string().describe("What became of it, and what to do next"),
  code: z.string().optional().describe("Code of a failure"),
  result: z.unknown().optional().describe("What it did, or would do"),
  details: z.record(z.string(), z.unknown()).optional().describe("Details of a failure"),
});

type Answer = ToolAnswer<z.input<typeof HostOutput>>;

export const dryRunField = z
  .boolean()
  .optional()
  .describe("Only plan it: nobody is asked and nothing happens");
export const reasonField = z.string().min(1).max(1000).describe("Why; the operator reads it");

/** Whether a session's grant holds a capability, and the door lets the tool act. */
export function holds(
  session: AgentSession,
  tool: Tool["name"],
  ...capabilities: readonly string[]
): boolean {
  const { capabilities: held, agentTool } = session.door;
  if (agentTool === null || hostMutation(agentTool, tool) === "refused") return false;
  return held === "all" || capabilities.every((one) => held.has(one));
}

/** Asks the bridge for an action; where a person has to confirm it, the answer says at once that it waits. */
export async function act(
  tool: Tool["name"],
  request: { readonly action: string; readonly payload: Readonly<Record<string, unknown>> },
  call: ToolCall,
): Promise<Answer> {
  const { door } = call.session;
  const dryRun = request.payload["dryRun"] === true || mayOnlyPlan(call.session, tool);
  const asked = { ...request, payload: { ...request.payload, ...(dryRun ? { dryRun } : {}) } };
  return await untilAsked(call, async (waits, signal) => {
    const response = await door.host.hostAction(asked, signal, (event) => tell(event, waits, call));
    return answerOf(response, { machine: door.machine.name, action: request.action, dryRun });
  });
}

function mayOnlyPlan({ door: { agentTool } }: AgentSession, tool: Tool["name"]): boolean {
  return agentTool === null || hostMutation(agentTool, tool) === "dry-run";
}

function tell(
  event: ActionEvent,
  waits: (question: { readonly id: string; readonly expiresAt: string }) => void,
  call: ToolCall,
): void {
  if (event.kind === "waiting")
    waits({ id: event.approval, expiresAt: new Date(Date.now() + event.seconds * 1000).toISOString() });
  if (event.kind === "step")
    call.progress(`step ${String(event.index + 1)} of ${String(event.total)}: ${event.step.status}`);
}

function answerOf(
  response: HostActionResponse,
  {
    machine,
    action,
    dryRun,
  }: { readonly machine: string; readonly action: string; readonly dryRun: boolean },
): Answer {
  const { result } = response;
  const shown = result === undefined ? {} : { result };
  if (response.ok) {
    const message = dryRun
      ? `${action} was only planned: nothing happened on the host`
      : `${action} was done on the host, not in machine "${machine}"`;
    return {
      structured: { status: dryRun ? "planned" : "done", message, ...shown },
      text: withResult(message, result),
      ...exitOf(result),
    };
  }
  refuseFinally(response);
  const { error: message, code = "HOST_ACTION_FAILED", details } = response;
  return {
    structured: {
      status: "failed",
      message,
      code,
      ...shown,
      ...(details === undefined ? {} : { details }),
    },
    text: withResult(`${message} (${code})`, result ?? details),
    failed: true,
    code,
    ...exitOf(result),
  };
}

/** A person's no, and nobody's answer, are refusals of the call; what is wrong with a request is its failure. */
function refuseFinally(response: Extract<HostActionResponse, { ok: false }>): void {
  if (response.code !== "CANCELLED") return;
  const late = response.error.endsWith("nobody decided in time");
  if (!late && !/ refused it(?::|$)/.test(response.error)) return;
  const rule = late ? "approvals.time" : "approvals.operator";
  throw new DenialError({ code: "APPROVAL_DENIED", rule, message: response.error });
}

function withResult(message: string, result: unknown): string {
  return result === undefined ? message : `${message}\n${JSON.stringify(result, null, 2).slice(0, 100_000)}`;
}

function exitOf(result: unknown): { exitCode: number } | Record<string, never> {
  if (typeof result !== "object" || result === null || !("exitCode" in result)) return {};
  return typeof result.exitCode === "number" ? { exitCode: result.exitCode } : {};
}
