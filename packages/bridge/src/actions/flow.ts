import {
  DoorwardError,
  HOST_ACTIONS,
  type ActionReport,
  type HostActionResponse,
  type Policy,
} from "@doorward/contracts";
import { FirstAbort } from "@doorward/doors";
import type { Logger } from "pino";
import { didYouMean } from "../did-you-mean.ts";
import { freshId } from "../machines/life/names.ts";
import type { Store } from "../store/index.ts";
import { ActionAudit, firstName, type ActionEvidence } from "./audit.ts";
import type { ApprovalQueue } from "./flow-confirm.ts";
import type { ActionAsker, ActionListener, ActionParts } from "./flow-ports.ts";
import { PerformedAction } from "./flow-run.ts";
import { ActionReports } from "./flow-store.ts";
import type { InterruptedFiles } from "./files/index.ts";
import { IntakeError, takeIn, type Taken } from "./intake.ts";

/** Most actions that one asker may have under way; more are refused at once. */
export const ACTIONS_PER_ASKER = 20;
/** Most actions under way for one machine, whatever its askers call themselves: holders may name their children. */
export const ACTIONS_PER_MACHINE = 60;

/** What host actions are made from. */
export interface HostActionsOptions {
  readonly parts: ActionParts;
  readonly policy: {
    readonly policy: Policy;
    readonly hash: string;
    /** Calls back when another policy may be in force, until disposed. */
    onEvent?(listener: () => void): Disposable;
  };
  readonly approvals: ApprovalQueue;
  readonly evidence: ActionEvidence;
  readonly store: Store;
  /** File operations that the bridge before was in the middle of. */
  readonly cutFiles?: readonly InterruptedFiles[];
  readonly log: Logger;
}

/**
 * Privileged actions on the host: the one way in for all who ask. Each request goes through intake, capabilities, scope,
 * plan, dry run, confirmation and execution in this order, and leaves its evidence.
 */
export class HostActions implements AsyncDisposable {
  readonly #options: HostActionsOptions;
  readonly #audit: ActionAudit;
  readonly #reports: ActionReports;
  readonly #running = new Map<Promise<unknown>, PerformedAction>();
  readonly #listening: Disposable | undefined;
  readonly #closing = new AbortController();

  private constructor(options: HostActionsOptions) {
    this.#options = options;
    this.#audit = new ActionAudit(options.evidence, () => options.policy.hash);
    this.#reports = new ActionReports(options.store);
    this.#listening = options.policy.onEvent?.(() => {
      for (const action of this.#running.values()) action.policyChanged();
    });
  }

  /** Opens them: what was going on when the bridge before ended is never gone on with, and recorded as interrupted, now or by a bridge that has room to. */
  static async open(options: HostActionsOptions): Promise<HostActions> {
    const actions = new HostActions(options);
    for (const { report, base } of actions.#reports.cut())
      await actions.#interrupted(report, base).catch((error: unknown) => {
        options.log.error({ err: error, action: report.id }, "an interrupted action could not be recorded");
      });
    actions.#reports.prune();
    return actions;
  }

  /** Does, or with `dryRun` plans, what somebody asks for; the answer says what became of it. Never throws. */
  async perform(
    asker: ActionAsker,
    raw: unknown,
    signal: AbortSignal,
    onEvent: ActionListener = () => undefined,
  ): Promise<HostActionResponse> {
    const taken = await this.#take(asker, raw);
    if ("response" in taken) return taken.response;
    const { correlationId } = taken;
    const crowd = this.#crowdOf(asker);
    if (crowd !== null) return failed(correlationId, `Cannot do this: ${crowd} are under way`);
    using ended = new FirstAbort(signal, this.#closing.signal, ...grantSignal(asker));
    const { parts, policy, approvals, evidence, log } = this.#options;
    const action = new PerformedAction({
      ...{ id: freshId("h"), asker, taken, parts, policy, approvals, evidence, log },
      ...{ audit: this.#audit, reports: this.#reports, signal: ended.signal, onEvent },
    });
    const performed = action.perform();
    this.#running.set(performed, action);
    try {
      return await performed;
    } finally {
      this.#running.delete(performed);
    }
  }

  /** How far a request came; to a grant's holder others' look as if they did not exist (ACTION_NOT_FOUND). */
  report(id: string, grant: string | null): ActionReport {
    const report = this.#reports.get(id);
    if (report !== undefined && (grant === null || report.grant === grant)) return report;
    const near = didYouMean(
      id,
      this.reports(grant).map((each) => each.id),
    );
    throw new DoorwardError({
      code: "ACTION_NOT_FOUND",
      message: `Cannot show action "${id}": there is none of this id${near}`,
      hint: "doorward action show",
    });
  }

  /** Newest requests first; a grant's holder sees its own. */
  reports(grant: string | null): readonly ActionReport[] {
    return this.#reports.list().filter((report) => grant === null || report.grant === grant);
  }

  /** Cancels what is under way and waits until that is recorded. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening?.[Symbol.dispose]();
    const message = "The bridge is shutting down";
    this.#closing.abort(new DoorwardError({ code: "BRIDGE_STOPPING", message }));
    await Promise.allSettled(this.#running.keys());
  }

  /** What is under way so much that nothing more is begun; null when there is room. */
  #crowdOf({ subject, machine }: ActionAsker): string | null {
    const running = [...this.#running.values()].map(({ asker }) => asker);
    const own = running.filter((asker) => asker.subject === subject).length;
    if (own >= ACTIONS_PER_ASKER) return `${own} actions of "${subject}"`;
    const here = machine === null ? 0 : running.filter((asker) => asker.machine?.id === machine.id).length;
    return machine !== null && here >= ACTIONS_PER_MACHINE
      ? `${here} actions of machine "${machine.name}"`
      : null;
  }

  async #take(
    asker: ActionAsker,
    raw: unknown,
  ): Promise<Extract<Taken, { kind: "request" }> | { response: HostActionResponse }> {
    const { log } = this.#options;
    try {
      const taken = takeIn(raw);
      if (taken.kind === "failure") return { response: taken.response };
      if (taken.nested)
        log.warn({ subject: asker.subject }, "a request came nested in another envelope; that is deprecated");
      return taken;
    } catch (error) {
      if (!(error instanceof IntakeError)) throw error;
      return { response: await this.#refuseIntake(asker, error) };
    }
  }

  /** A request without the documented shape is recorded by what it called itself, and none of its contents. */
  async #refuseIntake(asker: ActionAsker, error: IntakeError): Promise<HostActionResponse> {
    const { evidence, policy, log } = this.#options;
    const { action, correlationId, field, message } = error;
    const known = [...HOST_ACTIONS, "system.host.write" as const].find((name) => name === action);
    const response: HostActionResponse = {
      ok: false,
      correlationId,
      error: message.slice(0, 4000),
      code: "VALIDATION_FAILED",
      ...(field === null ? {} : { details: { field } }),
    };
    try {
      await evidence.append({
        type: "denial",
        correlationId,
        subject: asker.subject,
        machine: asker.machine,
        grant: asker.grant?.id ?? null,
        policyHash: policy.hash,
        attempted: known === undefined ? "host-action" : firstName(known),
        code: "VALIDATION_FAILED",
        rule: "actions.intake",
        door: null,
        operation: null,
        target: null,
      });
    } catch (cause) {
      log.error({ err: cause }, "a refused request could not be recorded");
    }
    return response;
  }

  /** What the journal has of a request that was running; one that still waited has done nothing. */
  #appliedOf({ action, state, scope, startedAt, operationCount }: ActionReport): number | null {
    if (action !== "system.fs.mutate") return null;
    if (state === "waiting") return 0;
    const files = this.#options.cutFiles?.find(
      (each) => each.scope === scope && each.startedAt >= startedAt && each.total === operationCount,
    );
    return files?.applied ?? null;
  }

  async #interrupted(report: ActionReport, base: Parameters<ActionReports["put"]>[1]): Promise<void> {
    const workflow = report.workflow === null ? null : interruptedSteps(report.workflow);
    const applied = this.#appliedOf(report);
    const cut = { ...report, workflow, applied, state: "interrupted", outcome: "interrupted" } as const;
    await this.#audit.ended(base, workflow, {
      decision: "allowed",
      outcome: "interrupted",
      code: null,
      violation: null,
      durationMs: Math.max(0, Date.now() - Date.parse(report.startedAt)),
      result: null,
      numbers: null,
    });
    this.#reports.put({ ...cut, endedAt: new Date().toISOString() }, base);
  }
}

function interruptedSteps(workflow: NonNullable<ActionReport["workflow"]>) {
  const steps = workflow.steps.map((step) =>
    step.status === "running"
      ? { ...step, status: "interrupted" as const }
      : step.status === "pending"
        ? { ...step, status: "skipped" as const }
        : step,
  );
  return { ...workflow, steps };
}

function grantSignal({ grant }: ActionAsker): AbortSignal[] {
  return grant === null ? [] : [grant.signal];
}

function failed(correlationId: string, error: string): HostActionResponse {
  return { ok: false, correlationId, error, code: "HOST_ACTION_FAILED" };
}
