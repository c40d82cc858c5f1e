import { randomUUID } from "node:crypto";
import {
  capabilitiesFor,
  DoorwardError,
  type ActionReport,
  type ActionStep,
  type HostActionResponse,
  type Policy,
} from "@doorward/contracts";
import type { Logger } from "pino";
import { ActionError } from "./action-error.ts";
import {
  firstName,
  plannedBase,
  recordBase,
  type ActionAudit,
  type ActionEvidence,
  type Ending,
} from "./audit.ts";
import { reasonOf } from "./failures.ts";
import { approvalAsk, confirmed, NotConfirmed, type ApprovalQueue } from "./flow-confirm.ts";
import { planAction } from "./flow-plan.ts";
import type {
  ActionAsker,
  ActionDone,
  ActionListener,
  ActionParts,
  PlanContext,
  Planned,
  StepDone,
} from "./flow-ports.ts";
import { cancelled, outcomeOf, success } from "./flow-outcome.ts";
import { digestOf, scopeOf, scopeVersion } from "./flow-scope.ts";
import type { ActionReports, RecordBase } from "./flow-store.ts";
import type { Taken } from "./intake.ts";
import { StepRefused } from "./workflow-plan.ts";

/** How long a confirmation is waited for when the policy does not say. */
const CONFIRM_SECONDS = 45;

/** What one request works with. */
export interface PerformOptions {
  readonly id: string;
  readonly asker: ActionAsker;
  readonly taken: Extract<Taken, { kind: "request" }>;
  readonly parts: ActionParts;
  readonly policy: { readonly policy: Policy; readonly hash: string };
  readonly approvals: ApprovalQueue;
  readonly evidence: ActionEvidence;
  readonly audit: ActionAudit;
  readonly reports: ActionReports;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onEvent: ActionListener;
}

/** One request on its way: judged, planned, confirmed, judged again, run, recorded. */
export class PerformedAction {
  readonly #options: PerformOptions;
  readonly #began = performance.now();
  readonly #workflowId: string;
  #base: RecordBase;
  #report: ActionReport | null = null;
  #judged = false;
  /** Ends the question when what it shows is no longer what the policy says. */
  readonly #stale = new AbortController();
  #asked: Planned | null = null;
  #details: Readonly<Record<string, unknown>> = {};

  constructor(options: PerformOptions) {
    this.#options = options;
    const { evidence, asker, taken } = options;
    this.#base = recordBase(evidence, asker, taken);
    this.#workflowId = `${scopeOf(taken.request) ?? "workflow"}-${randomUUID()}`;
  }

  /** Who asked. */
  get asker(): ActionAsker {
    return this.#options.asker;
  }

  /** Withdraws the question when the scope that it was asked in is another one now. */
  policyChanged(): void {
    if (this.#asked === null) return;
    try {
      this.#recheck(this.#asked);
    } catch (cause) {
      this.#stale.abort(new DoorwardError({ code: "APPROVAL_CHANGED", message: reasonOf(cause), cause }));
    }
  }

  /** Never throws; its answer says what became of the request. */
  async perform(): Promise<HostActionResponse> {
    let done: ActionDone;
    try {
      done = await this.#perform();
    } catch (error) {
      done = this.#failure(error);
    }
    return await this.#end(done);
  }

  async #perform(): Promise<ActionDone> {
    this.#checkCapabilities();
    const plan = await this.#plan();
    this.#judged = true;
    this.#base = plannedBase(this.#options.evidence, this.#base, plan);
    if (this.#base.dryRun) return success(plan.preview);
    this.#accept(plan);
    await this.#confirm(plan);
    const again = await this.#planAgain(plan);
    await this.#begin();
    this.#recheck(plan);
    return await again.run({
      signal: this.#options.signal,
      recheck: () => this.#recheck(plan),
      stepped: (index, step, ended) => this.#stepped(index, step, ended),
    });
  }

  #checkCapabilities(): void {
    const { asker, taken } = this.#options;
    const required = capabilitiesFor(firstName(taken.request.action), scopeOf(taken.request));
    const { capabilities } = asker;
    const missing = capabilities === "all" ? [] : required.filter((name) => !capabilities.has(name));
    if (missing.length > 0)
      throw this.#capabilityDenied(missing, `"${asker.subject}" has not ${missing.join(", ")}`);
  }

  #capabilityDenied(missing: readonly string[], why: string): ActionError {
    const { request } = this.#options.taken;
    this.#details = {
      requiredCapabilities: this.#base.capabilities,
      missingCapabilities: missing,
      scope: this.#base.scope,
      command: "command" in request.payload ? request.payload.command : null,
    };
    return new ActionError({ code: "CAPABILITY_DENIED", message: `Cannot do "${request.action}": ${why}` });
  }

  #plan(): Promise<Planned> {
    const { parts, policy, asker, taken } = this.#options;
    const context: PlanContext = {
      ...{ judge: parts.judge, runner: parts.runner },
      ...{ files: parts.files, hosts: parts.hosts, clipboard: parts.clipboard },
      policy: () => policy.policy,
      subject: asker.subject,
      owner: asker.plugin?.id ?? asker.subject,
      correlationId: taken.correlationId,
      workflowId: this.#workflowId,
    };
    return planAction(taken.request, context);
  }

  /** What was approved runs, or nothing: request, scope and state are those that were shown, and the grant still lives. */
  async #planAgain(shown: Planned): Promise<Planned> {
    this.#recheck(shown);
    const now = await this.#plan();
    this.#recheck(shown);
    const same =
      now.scopeVersion === shown.scopeVersion &&
      digestOf({ state: now.state ?? null, lines: now.lines }) ===
        digestOf({ state: shown.state ?? null, lines: shown.lines });
    if (same) return now;
    throw cancelled(
      `Cannot do "${this.#base.action}": what it acts on is not what it was when it was shown; ask again`,
    );
  }

  #recheck(shown: Planned): void {
    const { asker, signal, policy, taken } = this.#options;
    try {
      asker.grant?.check();
    } catch (error) {
      throw this.#capabilityDenied(this.#base.capabilities, reasonOf(error));
    }
    if (signal.aborted) throw cancelled(`Cannot do "${this.#base.action}": ${reasonOf(signal.reason)}`);
    if (scopeVersion(policy.policy, taken.request) === shown.scopeVersion) return;
    throw cancelled(`Cannot do "${this.#base.action}": its scope was changed in the policy; ask again`);
  }

  #accept(plan: Planned): void {
    const { id, asker, taken, onEvent } = this.#options;
    const { action, correlationId, operationCount, scope } = this.#base;
    const { workflow } = plan;
    this.#keep({
      ...{ id, subject: asker.subject, grant: asker.grant?.id ?? null, correlationId, action, scope },
      ...{
        state: "waiting",
        outcome: null,
        code: null,
        approval: null,
        endedAt: null,
        operationCount,
        applied: null,
      },
      startedAt: new Date().toISOString(),
      workflow: workflow === null ? null : { ...workflow, steps: [...workflow.steps] },
    });
    onEvent({ kind: "accepted", id, correlationId: taken.correlationId });
  }

  async #confirm(plan: Planned): Promise<void> {
    if (plan.confirm === "never" && this.#options.asker.confirm !== "always") {
      this.#base = { ...this.#base, confirmation: "policy" };
      return;
    }
    const { approvals, asker, taken, policy, signal, onEvent } = this.#options;
    const seconds = policy.policy.actions?.confirmSeconds ?? CONFIRM_SECONDS;
    const ask = approvalAsk(plan, {
      asker,
      correlationId: taken.correlationId,
      operation: this.#base.action,
      requestDigest: digestOf(taken.request),
      seconds,
    });
    this.#asked = plan;
    const given = await confirmed(
      approvals,
      ask,
      AbortSignal.any([signal, this.#stale.signal]),
      (approval) => {
        onEvent({ kind: "waiting", approval, seconds });
      },
    ).finally(() => (this.#asked = null));
    this.#base = { ...this.#base, ...given };
  }

  /** The intent is durable before the effect. */
  async #begin(): Promise<void> {
    const { audit, onEvent } = this.#options;
    const report = this.#report;
    if (report === null) throw new Error("not accepted");
    await audit.began(this.#base, report.workflow, this.#elapsed());
    this.#keep({ ...report, state: "running", approval: this.#base.approval });
    onEvent({ kind: "running" });
  }

  async #stepped(index: number, step: ActionStep, done: StepDone | null): Promise<void> {
    const { audit, onEvent } = this.#options;
    const report = this.#report;
    if (report?.workflow === undefined || report.workflow === null) return;
    const steps = report.workflow.steps.map((each, at) => (at === index ? step : each));
    const workflow = { ...report.workflow, steps };
    this.#keep({ ...report, workflow });
    onEvent({ kind: "step", index, total: steps.length, step });
    if (step.status !== "running") await audit.step(this.#base, workflow, { index, step, done });
  }

  #failure(error: unknown): ActionDone {
    if (error instanceof NotConfirmed) {
      const { confirmation, approval } = error;
      this.#base = { ...this.#base, confirmation, approval };
    }
    if (error instanceof StepRefused) this.#details = error.details;
    if (error instanceof ActionError) return { ...success(undefined), failure: error.failure };
    this.#options.log.error({ err: error, action: this.#base.action }, "a host action failed");
    const message = `Cannot do "${this.#base.action}": ${reasonOf(error)}`;
    return { ...success(undefined), failure: { code: "HOST_ACTION_FAILED", message } };
  }

  async #end(done: ActionDone): Promise<HostActionResponse> {
    const { audit } = this.#options;
    const { failure, result } = done;
    const ending: Ending = {
      decision: this.#judged ? "allowed" : "denied",
      outcome: failure === null ? "succeeded" : outcomeOf(failure.code, this.#judged),
      code: failure?.code ?? null,
      violation: failure?.scopeViolation?.reason ?? null,
      durationMs: this.#elapsed(),
      result: result ?? null,
      numbers: done,
    };
    try {
      await audit.ended(this.#base, this.#report?.workflow ?? null, ending);
      this.#keepEnd(ending);
    } catch (error) {
      this.#options.log.error({ err: error }, "the end of a host action could not be recorded");
      const what = this.#report?.state === "running" ? "it ran, but its end" : "its end";
      const message = `Cannot answer for "${this.#base.action}": ${what} could not be recorded: ${reasonOf(error)}`;
      return this.#response({ ...success(undefined), failure: { code: "HOST_ACTION_FAILED", message } });
    }
    return this.#response(done);
  }

  #keepEnd({ outcome, code }: Ending): void {
    const report = this.#report;
    if (report === null) return;
    const endedAt = new Date().toISOString();
    const { approval } = this.#base;
    this.#keep({ ...report, state: "ended", outcome, code, approval, endedAt });
    this.#options.reports.prune();
  }

  #response({ failure, result }: ActionDone): HostActionResponse {
    const { correlationId } = this.#options.taken;
    const shown = result === undefined ? {} : { result };
    if (failure === null) return { ok: true, correlationId, ...shown };
    const { code, message, scopeViolation } = failure;
    const details = {
      ...this.#details,
      ...failure.details,
      ...(scopeViolation === undefined ? {} : { scopeViolation, scope: this.#base.scope }),
    };
    const told = Object.keys(details).length === 0 ? {} : { details };
    return { ok: false, correlationId, error: message.slice(0, 4000), code, ...told, ...shown };
  }

  #keep(report: ActionReport): void {
    this.#report = report;
    this.#options.reports.put(report, this.#base);
  }

  #elapsed(): number {
    return Math.round(performance.now() - this.#began);
  }
}
