import type { ActionCode, ActionStep, WorkflowStepResult } from "@doorward/contracts";
import { ActionError } from "./action-error.ts";
import { commandDone, commandFacts } from "./flow-command.ts";
import type { ActionDone, RunContext } from "./flow-ports.ts";
import type { ActionFailure, CommandPlan, CommandRunner } from "./ports.ts";
import { pendingStep, stepAt, stepHead, workflowResult, type WorkflowPlan } from "./workflow-plan.ts";

/** Output that all steps of one run keep together, in bytes. */
const KEPT_BYTES = 33_554_432;

/** Codes of the workflow by the code of the step that failed it. */
const STEP_CODES: Readonly<Partial<Record<ActionCode, ActionCode>>> = {
  SCOPE_VIOLATION: "STEP_SCOPE_VIOLATION",
  SCOPE_DENIED: "STEP_SCOPE_VIOLATION",
  TIMEOUT: "STEP_TIMEOUT",
  CANCELLED: "STEP_CANCELLED",
  PROCESS_SPAWN_ENOENT: "STEP_PROCESS_SPAWN_ENOENT",
  PROCESS_SPAWN_PERMISSION_DENIED: "STEP_PROCESS_SPAWN_PERMISSION_DENIED",
  OS_ERROR: "STEP_OS_ERROR",
};

interface Progress {
  readonly results: WorkflowStepResult[];
  /** The failure that ended the run; null while it goes on. */
  stopped: { readonly at: number; readonly failure: ActionFailure } | null;
  kept: number;
  stdoutBytes: number;
  stderrBytes: number;
}

/**
 * Runs the steps in order. After a failed step that says `abort` the rest is skipped, and listed so; one that says
 * `continue` leaves the workflow ok, with status `partial` or `failed`. Cancelling always aborts.
 */
export async function runWorkflow(
  plan: WorkflowPlan,
  runner: CommandRunner,
  context: RunContext,
): Promise<ActionDone> {
  const progress: Progress = { results: [], stopped: null, kept: 0, stdoutBytes: 0, stderrBytes: 0 };
  for (const [at, command] of plan.plans.entries()) {
    if (progress.stopped === null) await runStep(plan, at, command, runner, context, progress);
    else await skipStep(plan, at, context, progress);
  }
  const result = workflowResult(plan, progress.results);
  const { stopped, stdoutBytes, stderrBytes } = progress;
  const numbers = { exitCode: null, stdoutBytes, stderrBytes, bytes: 0 };
  if (stopped === null) return { result, failure: null, ...numbers };
  const step = stepAt(plan.payload.steps, stopped.at);
  const failure = {
    ...stopped.failure,
    code: STEP_CODES[stopped.failure.code] ?? "STEP_FAILED",
    message: `Cannot finish step "${step.id}": ${stopped.failure.message}`,
    details: {
      ...result,
      stepId: step.id,
      stepTitle: step.title,
      stepCorrelationId: pendingStep(plan, stopped.at).correlationId,
      ...(stopped.failure.scopeViolation === undefined
        ? {}
        : { scopeViolation: stopped.failure.scopeViolation }),
    },
  };
  return { result: undefined, failure, ...numbers };
}

async function runStep(
  plan: WorkflowPlan,
  at: number,
  command: CommandPlan,
  runner: CommandRunner,
  context: RunContext,
  progress: Progress,
): Promise<void> {
  const step = stepAt(plan.payload.steps, at);
  const pending = pendingStep(plan, at);
  await context.stepped(at, { ...pending, status: "running" }, null);
  const began = performance.now();
  const keep = Math.max(0, KEPT_BYTES - progress.kept);
  const done = await attempt(async () => {
    context.recheck();
    return commandDone(command, await runner.run(command, context.signal), step.encoding ?? "utf8", keep);
  });
  const { result, ...numbers } = done;
  progress.kept += Math.min(keep, done.stdoutBytes + done.stderrBytes);
  progress.stdoutBytes += done.stdoutBytes;
  progress.stderrBytes += done.stderrBytes;
  const head = stepHead(step, pending.correlationId);
  const { failure } = done;
  const code = failure === null ? null : stepCode(failure);
  progress.results.push({
    ...head,
    status: failure === null ? "completed" : "failed",
    ...(isProcessResult(result) ? { result } : {}),
    ...(failure === null ? {} : { error: failure.message.slice(0, 2000), code: code ?? "" }),
  });
  const ended: ActionStep = {
    ...pending,
    status: failure === null ? "completed" : "failed",
    exitCode: done.exitCode,
    code,
    durationMs: Math.round(performance.now() - began),
  };
  await context.stepped(at, ended, { facts: commandFacts(command), done: numbers });
  const aborts = step.onError !== "continue" || context.signal.aborted || failure?.code === "CANCELLED";
  if (failure !== null && aborts) progress.stopped = { at, failure };
}

async function skipStep(
  plan: WorkflowPlan,
  at: number,
  context: RunContext,
  progress: Progress,
): Promise<void> {
  const step = stepAt(plan.payload.steps, at);
  const pending = pendingStep(plan, at);
  progress.results.push({ ...stepHead(step, pending.correlationId), status: "skipped" });
  await context.stepped(at, { ...pending, status: "skipped" }, null);
}

async function attempt(run: () => Promise<ActionDone>): Promise<ActionDone> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ActionError)) throw error;
    const nothing = { exitCode: null, stdoutBytes: 0, stderrBytes: 0, bytes: 0 };
    return { result: undefined, failure: error.failure, ...nothing };
  }
}

/** Inside a workflow the reference host calls an exit that is not 0 `EXIT_CODE`. */
function stepCode({ code }: ActionFailure): string {
  return code === "PROCESS_EXIT_NON_ZERO" ? "EXIT_CODE" : code;
}

function isProcessResult(result: unknown): result is Exclude<WorkflowStepResult["result"], undefined> {
  return typeof result === "object" && result !== null && "dryRun" in result;
}
