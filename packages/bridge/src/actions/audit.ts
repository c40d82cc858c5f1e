import {
  capabilitiesFor,
  HostPath,
  type ActionReport,
  type ActionStep,
  type EvidenceInput,
  type EvidencePredicate,
  type HostAction,
  type HostActionRequest,
} from "@doorward/contracts";
import type { ActionDone, ActionAsker, ActionFacts, Planned, StepDone } from "./flow-ports.ts";
import { scopeOf } from "./flow-scope.ts";
import type { RecordBase } from "./flow-store.ts";

type Predicate = EvidencePredicate<"host-action">;

/** Where records of actions go, and what makes digests that nobody can guess back. */
export interface ActionEvidence {
  append(input: EvidenceInput): Promise<unknown>;
  keyedDigest(value: unknown): string;
  argvDigest(argv: readonly string[]): string;
}

/** How a request ended, as its last record says it. */
export interface Ending {
  readonly decision: Predicate["decision"];
  readonly outcome: Exclude<Predicate["outcome"], "pending">;
  readonly code: string | null;
  readonly violation: string | null;
  readonly durationMs: number;
  /** The answer, kept by digest; null when there is none. */
  readonly result: unknown;
  readonly numbers: Omit<ActionDone, "result" | "failure"> | null;
}

/** The first name of an action. */
export function firstName(action: HostActionRequest["action"]): HostAction {
  return action === "system.host.write" ? "system.hosts.write" : action;
}

/** What all records of one request say, before and after there is a plan. */
export function recordBase(
  evidence: ActionEvidence,
  asker: ActionAsker,
  asked: { readonly correlationId: string; readonly request: HostActionRequest },
): RecordBase {
  const { request, correlationId } = asked;
  const action = firstName(request.action);
  const scope = scopeOf(request);
  const { dryRun = false, reason = null } = request.payload;
  return {
    correlationId,
    subject: asker.subject,
    machine: asker.machine,
    grant: asker.grant?.id ?? null,
    action,
    via: asker.via,
    plugin: asker.plugin,
    capabilities: [...capabilitiesFor(action, scope)],
    scope,
    scopeVersion: null,
    dryRun,
    reason: reason === null ? null : reason.slice(0, 500),
    request: evidence.keyedDigest(request),
    plan: null,
    confirmation: "not-needed",
    approval: null,
    program: null,
    arguments: null,
    argumentCount: 0,
    cwd: null,
    target: null,
    operationCount: 0,
    before: null,
  };
}

/** The base with what planning found. */
export function plannedBase(evidence: ActionEvidence, base: RecordBase, plan: Planned): RecordBase {
  return {
    ...base,
    ...factFields(evidence, plan.facts),
    scopeVersion: plan.scopeVersion,
    plan: evidence.keyedDigest({ lines: plan.lines, state: plan.state ?? null }),
  };
}

/** Writes the records of host actions; each is durable when its promise resolves. */
export class ActionAudit {
  readonly #evidence: ActionEvidence;
  readonly #policyHash: () => string;

  constructor(evidence: ActionEvidence, policyHash: () => string) {
    this.#evidence = evidence;
    this.#policyHash = policyHash;
  }

  /** The intent, before anything happens. */
  async began(base: RecordBase, workflow: ActionReport["workflow"], durationMs: number): Promise<void> {
    await this.#append(base, {
      event: "began",
      outcome: "pending",
      durationMs,
      workflow: workflowField(workflow, "running", null),
    });
  }

  /** The end of one step, or that it was skipped. */
  async step(
    base: RecordBase,
    workflow: NonNullable<ActionReport["workflow"]>,
    at: { readonly index: number; readonly step: ActionStep; readonly done: StepDone | null },
  ): Promise<void> {
    const { index, step, done } = at;
    const facts = done === null ? {} : factFields(this.#evidence, done.facts);
    const failure = done?.done.failure ?? null;
    await this.#append(
      { ...base, ...facts },
      {
        event: "step",
        outcome: stepOutcome(step),
        code: step.code,
        violation: violationWord(failure?.scopeViolation?.reason ?? null),
        ...numbersOf(done?.done ?? null),
        durationMs: step.durationMs ?? 0,
        workflow: workflowField(workflow, "running", {
          index,
          id: step.stepId,
          title: step.title,
          status: recordStatus(step.status),
          correlationId: this.#boundedId(step.correlationId),
          confirmation: base.confirmation,
        }),
      },
    );
  }

  /** How it ended. */
  async ended(base: RecordBase, workflow: ActionReport["workflow"], ending: Ending): Promise<void> {
    const { result, numbers, violation, ...plain } = ending;
    await this.#append(base, {
      event: "ended",
      ...plain,
      violation: violationWord(violation),
      result: result === null || result === undefined ? null : this.#evidence.keyedDigest(result),
      ...numbersOf(numbers),
      workflow: workflowField(workflow, workflowStatus(ending.outcome), null),
    });
  }

  async #append(
    base: RecordBase,
    changes: Partial<Predicate> & Pick<Predicate, "event" | "outcome">,
  ): Promise<void> {
    await this.#evidence.append({
      type: "host-action",
      ...base,
      policyHash: this.#policyHash(),
      decision: "allowed",
      code: null,
      violation: null,
      after: null,
      bytes: 0,
      result: null,
      exitCode: null,
      stdoutBytes: 0,
      stderrBytes: 0,
      durationMs: 0,
      workflow: null,
      ...changes,
    });
  }

  /** Ids of steps are as long as their parts; a record has room for 160 characters. */
  #boundedId(id: string): string {
    return id.length <= 160 ? id : this.#evidence.keyedDigest(id);
  }
}

function factFields(evidence: ActionEvidence, facts: ActionFacts) {
  const { program, argv, cwd, target, operationCount, before } = facts;
  return {
    program,
    arguments: argv === null ? null : evidence.argvDigest(argv),
    argumentCount: argv?.length ?? 0,
    cwd: hostPath(cwd),
    target: hostPath(target),
    operationCount,
    before: before === null ? null : evidence.keyedDigest(before),
  };
}

/** What is no resolved path has no place in a record. */
function hostPath(path: string | null): string | null {
  return HostPath.nullable().safeParse(path).data ?? null;
}

function numbersOf(done: Omit<ActionDone, "result" | "failure"> | null) {
  if (done === null) return {};
  const { exitCode, stdoutBytes, stderrBytes, bytes } = done;
  return { exitCode, stdoutBytes, stderrBytes, bytes };
}

function violationWord(reason: string | null): string | null {
  return reason === null ? null : reason.toLowerCase().replaceAll("_", "-");
}

function workflowField(
  workflow: ActionReport["workflow"],
  status: NonNullable<Predicate["workflow"]>["status"],
  step: NonNullable<Predicate["workflow"]>["step"],
): Predicate["workflow"] {
  if (workflow === null) return null;
  return { id: workflow.id.slice(0, 160), title: workflow.title, kind: "process-sequence", status, step };
}

function recordStatus(
  status: ActionStep["status"],
): "pending" | "running" | "succeeded" | "failed" | "skipped" | "cancelled" {
  if (status === "completed") return "succeeded";
  return status === "interrupted" ? "cancelled" : status;
}

function stepOutcome({ status, code }: ActionStep): Predicate["outcome"] {
  if (status === "completed") return "succeeded";
  if (status === "skipped" || code === "CANCELLED") return "cancelled";
  return code === "TIMEOUT" ? "timed-out" : "failed";
}

function workflowStatus(outcome: Ending["outcome"]): NonNullable<Predicate["workflow"]>["status"] {
  switch (outcome) {
    case "succeeded":
      return "succeeded";
    case "cancelled":
      return "cancelled";
    case "interrupted":
      return "interrupted";
    default:
      return "failed";
  }
}
