import type {
  ActionCode,
  ActionStep,
  HostActionRequest,
  ScopeViolation,
  WorkflowResult,
  WorkflowStep,
  WorkflowStepResult,
} from "@doorward/contracts";
import { ActionError } from "./action-error.ts";
import { commandRequest, commandShape, planState, processPlan } from "./flow-command.ts";
import { commandLines, quotedLines, inPieces } from "./flow-lines.ts";
import type { PlanContext, Planned } from "./flow-ports.ts";
import type { CommandPlan } from "./ports.ts";
import { runWorkflow } from "./workflow.ts";

type WorkflowRequest = Extract<HostActionRequest, { readonly action: "system.workflow.run" }>;

/** Codes of a workflow by why a step was refused before any ran; what is not here is about the workflow as a whole. */
const STEP_REFUSALS: Readonly<Partial<Record<ActionCode, ActionCode>>> = {
  SCOPE_VIOLATION: "STEP_SCOPE_VIOLATION",
  PROCESS_SPAWN_ENOENT: "STEP_PROCESS_SPAWN_ENOENT",
};

/** A workflow whose steps the scope allows, all of them. */
export interface WorkflowPlan {
  readonly workflowId: string;
  readonly payload: WorkflowRequest["payload"];
  readonly plans: readonly CommandPlan[];
  readonly correlationId: string;
}

/** A step that was refused before any ran. */
export class StepRefused extends ActionError {
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ActionCode,
    message: string,
    details: Readonly<Record<string, unknown>>,
    violation?: ScopeViolation,
  ) {
    super({
      code,
      message,
      ...(violation === undefined ? {} : { scopeViolation: violation }),
    });
    this.details = details;
  }
}

/** Plans a workflow: every step is judged before the first runs. */
export async function planWorkflow(
  request: WorkflowRequest,
  context: PlanContext,
  scopeVersion: string,
): Promise<Planned> {
  const { payload } = request;
  const { workflowId, correlationId } = context;
  const plans: CommandPlan[] = [];
  for (const [at, step] of payload.steps.entries()) {
    plans.push(await judged(context, payload, step, at));
  }
  const plan: WorkflowPlan = { workflowId, payload, plans, correlationId };
  const asked = payload.confirmation !== undefined;
  return {
    scope: payload.scope,
    scopeVersion,
    confirm: asked || plans.some(({ confirm }) => confirm === "always") ? "always" : "never",
    title: `Run workflow ${JSON.stringify(payload.title)} in scope "${payload.scope}"`.slice(0, 300),
    lines: workflowLines(plan),
    state: plans.map(planState),
    shape: commandShape(plans),
    facts: {
      program: null,
      argv: null,
      cwd: null,
      target: null,
      operationCount: plans.length,
      before: null,
    },
    workflow: {
      id: workflowId,
      title: payload.title,
      steps: payload.steps.map((_, at) => pendingStep(plan, at)),
    },
    preview: dryResult(plan),
    run: (run) => runWorkflow(plan, context.runner, run),
  };
}

/** Correlation id of a step: the base, and its place from 1. */
function stepCorrelationId(base: string, at: number, step: WorkflowStep): string {
  return `${base}:step:${at + 1}:${step.id}`;
}

/** A step that has not run. */
export function pendingStep({ payload, correlationId }: WorkflowPlan, at: number): ActionStep {
  const step = stepAt(payload.steps, at);
  return {
    stepId: step.id,
    title: step.title,
    status: "pending",
    correlationId: stepCorrelationId(correlationId, at, step),
    exitCode: null,
    code: null,
    durationMs: null,
  };
}

/** The step at a place. */
export function stepAt(steps: readonly WorkflowStep[], at: number): WorkflowStep {
  const step = steps[at];
  if (step === undefined) throw new RangeError(`no step ${at}`);
  return step;
}

/** What became of a workflow, in the words of its contract. */
export function workflowResult(
  { workflowId, payload }: Pick<WorkflowPlan, "workflowId" | "payload">,
  steps: readonly WorkflowStepResult[],
): WorkflowResult {
  const count = (status: WorkflowStepResult["status"]): number =>
    steps.filter((step) => step.status === status).length;
  const [completedSteps, failedSteps, skippedSteps] = [count("completed"), count("failed"), count("skipped")];
  const clean = failedSteps === 0 && skippedSteps === 0;
  return {
    workflowId,
    kind: "process-sequence",
    scope: payload.scope,
    title: payload.title,
    status: clean ? "completed" : completedSteps > 0 ? "partial" : "failed",
    steps: [...steps],
    summary: { totalSteps: payload.steps.length, completedSteps, failedSteps, skippedSteps },
  };
}

/** What every answer says of a step, whatever became of it. */
export function stepHead(step: WorkflowStep, correlationId: string) {
  const { id: stepId, title, phase } = step;
  return { stepId, title, ...(phase === undefined ? {} : { phase }), correlationId };
}

async function judged(
  context: PlanContext,
  payload: WorkflowRequest["payload"],
  step: WorkflowStep,
  at: number,
): Promise<CommandPlan> {
  try {
    return await context.judge.judge(payload.scope, commandRequest(step));
  } catch (error) {
    if (!(error instanceof ActionError)) throw error;
    const code = STEP_REFUSALS[error.failure.code];
    throw code === undefined ? error : refusedStep(context, payload, at, { error, code });
  }
}

function refusedStep(
  { workflowId, correlationId }: PlanContext,
  payload: WorkflowRequest["payload"],
  at: number,
  { error, code }: { readonly error: ActionError; readonly code: ActionCode },
): StepRefused {
  const steps = payload.steps.map((step, place): WorkflowStepResult => {
    const head = stepHead(step, stepCorrelationId(correlationId, place, step));
    if (place !== at) return { ...head, status: "skipped" };
    return { ...head, status: "failed", code: error.failure.code, error: error.message.slice(0, 2000) };
  });
  const failed = stepAt(payload.steps, at);
  const { scopeViolation } = error.failure;
  const details = {
    ...workflowResult({ workflowId, payload }, steps),
    stepId: failed.id,
    stepTitle: failed.title,
    stepCorrelationId: stepCorrelationId(correlationId, at, failed),
    ...(scopeViolation === undefined ? {} : { scopeViolation }),
  };
  return new StepRefused(code, `Cannot run step "${failed.id}": ${error.message}`, details, scopeViolation);
}

function dryResult(plan: WorkflowPlan): WorkflowResult {
  const steps = plan.plans.map((each, at): WorkflowStepResult => {
    const step = stepAt(plan.payload.steps, at);
    const head = stepHead(step, stepCorrelationId(plan.correlationId, at, step));
    return { ...head, status: "completed", result: processPlan(each) };
  });
  return { ...workflowResult(plan, steps), dryRun: true };
}

function workflowLines({ payload, plans }: WorkflowPlan): string[] {
  const { summary, confirmation, steps } = payload;
  const needs = new Set(confirmation?.requiredForStepIds ?? []);
  return [
    ...(summary === undefined ? [] : quotedLines("summary", summary)),
    ...(confirmation === undefined ? [] : quotedLines("message", confirmation.message)),
    ...plans.flatMap((plan, at) => {
      const { id, title, phase, onError = "abort", env = {}, reason } = stepAt(steps, at);
      const how = [phase, needs.has(id) ? "to be confirmed" : undefined, `${onError}s on failure`];
      const head = `step ${at + 1} of ${plans.length} "${id}" (${how.filter((each) => each !== undefined).join(", ")}): ${JSON.stringify(title)}`;
      return [
        ...inPieces(head),
        ...(reason === undefined ? [] : quotedLines("  reason", reason)),
        ...commandLines(plan, env).map((line) => `  ${line}`),
      ];
    }),
  ];
}
