import {
  DoorwardError,
  toDoorwardError,
  type EvidencePredicate,
  type PendingApproval,
} from "@doorward/contracts";
import type { Logger } from "pino";
import { didYouMean } from "../did-you-mean.ts";
import { remaining, systemClock, type Clock } from "../grants/clock.ts";
import { freshId } from "../machines/life/names.ts";
import type { Documents, Store } from "../store/index.ts";
import { approvalDigest, standingKey } from "./approval-digest.ts";
import { refuseMany } from "./pending-limits.ts";
import { changed, expiryOf, refusal, viewOf, type RefusalRule } from "./pending-view.ts";
import type {
  ApprovalAsk,
  ApprovalEvidence,
  ApprovalGiven,
  DecidedWhere,
  Notifier,
  Question,
} from "./ports.ts";
import { StandingApproval, StoredApproval } from "./stored.ts";

/** What the queue is made from. */
export interface ApprovalsOptions {
  readonly store: Store;
  readonly evidence: ApprovalEvidence;
  readonly policyHash: () => string;
  /** Subject of what the queue decides by itself. */
  readonly bridgeSubject: string;
  readonly notifier: Notifier | null;
  /** The clocks of this host; tests move their own. */
  readonly clock?: Clock;
  readonly log: Logger;
}

interface Pending {
  ask: ApprovalAsk;
  view: PendingApproval;
  readonly resolve: (given: ApprovalGiven) => void;
  readonly reject: (error: DoorwardError) => void;
  readonly timer: NodeJS.Timeout;
}

type Outcome = Pick<EvidencePredicate<"approval">, "decision" | "where" | "expiresAt" | "reason" | "subject">;

/**
 * The one queue of pending decisions, for egress, actions and tools alike. Only the operator answers it, over the bridge's
 * own socket; what nobody answers is refused, and so is everything that a bridge which ended had pending.
 */
export class Approvals implements AsyncDisposable {
  readonly #options: ApprovalsOptions;
  readonly #clock: Clock;
  readonly #stored: Documents<StoredApproval>;
  readonly #standing: Documents<StandingApproval>;
  readonly #pending = new Map<string, Pending>();
  readonly #listeners = new Set<() => void>();
  readonly #recording = new Set<Promise<void>>();

  private constructor(options: ApprovalsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
    this.#stored = options.store.documents("approvals", StoredApproval);
    this.#standing = options.store.documents("standing-approvals", StandingApproval);
  }

  /** Opens the queue: what an ended bridge left pending is never done, and recorded as withdrawn, now or by a bridge that has room to. */
  static async open(options: ApprovalsOptions): Promise<Approvals> {
    const approvals = new Approvals(options);
    for (const left of approvals.#stored.list())
      await approvals.#drop(left).catch((error: unknown) => {
        const approval = left.view.id;
        options.log.error({ err: error, approval }, "a decision that was left pending could not be recorded");
      });
    approvals.#forgetOver();
    return approvals;
  }

  /**
   * Asks and waits. Rejects with APPROVAL_DENIED, RATE_LIMITED, or why the signal was aborted. `onAsked` hears the id of
   * the question, when one has to be asked.
   */
  async ask(ask: ApprovalAsk, signal: AbortSignal, onAsked?: (id: string) => void): Promise<ApprovalGiven> {
    signal.throwIfAborted();
    const standing = this.standing(ask);
    if (standing !== null) return standing;
    using question = this.question(ask);
    onAsked?.(question.id);
    const stopped = new Promise<never>((_, reject) => {
      const stop = (): void => reject(toDoorwardError(signal.reason));
      signal.addEventListener("abort", stop, { once: true });
      // Whoever heard of the question may have gone away at that.
      if (signal.aborted) stop();
      void question.decided.catch(() => undefined).finally(() => signal.removeEventListener("abort", stop));
    });
    return await Promise.race([question.decided, stopped]);
  }

  /** Asks without waiting; the question is withdrawn when it is disposed undecided. */
  question(ask: ApprovalAsk): Question {
    refuseMany(ask, [...this.#pending.values()]);
    const id = freshId("a");
    let resolve: Pending["resolve"] = () => undefined;
    let reject: Pending["reject"] = () => undefined;
    const decided = new Promise<ApprovalGiven>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    decided.catch(() => undefined);
    const view = viewOf(id, ask, Date.now());
    this.#store(view, ask);
    const timer = setTimeout(() => this.#expire(id), ask.seconds * 1000);
    this.#pending.set(id, { ask, view, resolve, reject, timer });
    this.#tell();
    this.#notify(view);
    return {
      id,
      expiresAt: view.expiresAt,
      decided,
      amend: (changed) => this.#amend(id, changed),
      [Symbol.dispose]: () => this.#withdraw(id, "whoever asked went away"),
    };
  }

  /** The approval for a time that covers this; null when it has to be asked. */
  standing(ask: ApprovalAsk): ApprovalGiven | null {
    const key = standingKey(ask);
    const found = key === null ? undefined : this.#standing.get(key);
    if (found === undefined) return null;
    if (this.#isOver(found)) {
      this.#standing.delete(found.key);
      return null;
    }
    return { id: found.id, by: found.by, digest: approvalDigest(ask), expiresAt: found.expiresAt };
  }

  /** Pending decisions, oldest first. */
  list(): PendingApproval[] {
    return [...this.#pending.values()].map(({ view }) => view);
  }

  /** Calls back whenever what is pending changed, until disposed. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /**
   * Approves what was shown. The record is durable before whoever asked hears of it. APPROVAL_NOT_FOUND, or
   * APPROVAL_CHANGED when something else is asked by now.
   */
  async approve(
    id: string,
    given: { digest: string; by: string; seconds: number | null; where: DecidedWhere },
  ): Promise<ApprovalGiven> {
    const pending = this.#get(id);
    const { ask, view } = pending;
    if (given.digest !== view.digest) throw changed(id);
    const expiresAt = expiryOf(view, given.seconds, this.#clock.wall());
    const approval: ApprovalGiven = { id, by: given.by, digest: view.digest, expiresAt };
    this.#take(pending);
    try {
      const { by, where } = given;
      await this.#record(view, ask, { decision: "approved", where, expiresAt, reason: null, subject: by });
      this.#stand(ask, approval);
    } catch (error) {
      pending.reject(refusal(view, "the decision could not be recorded", "approvals.withdrawn"));
      throw error;
    }
    pending.resolve(approval);
    return approval;
  }

  /** Refuses; the refusal is final for what asked. APPROVAL_NOT_FOUND. */
  async deny(id: string, by: string, reason: string | null, where: DecidedWhere): Promise<void> {
    const pending = this.#get(id);
    this.#take(pending);
    const why = reason === null ? `${by} refused it` : `${by} refused it: ${reason}`;
    pending.reject(refusal(pending.view, why, "approvals.operator"));
    const outcome = { decision: "denied", where, expiresAt: null, reason, subject: by } as const;
    await this.#record(pending.view, pending.ask, outcome);
  }

  /** Withdraws everything that is pending and waits until that is recorded. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of [...this.#pending.keys()]) this.#withdraw(id, "the bridge stopped");
    await Promise.all(this.#recording);
  }

  #stand(ask: ApprovalAsk, { id, by, digest, expiresAt }: ApprovalGiven): void {
    const key = standingKey(ask);
    if (key === null || expiresAt === null) return;
    this.#forgetOver();
    const { epoch } = this.#clock;
    const endsAt = this.#clock.monotonic() + Date.parse(expiresAt) - this.#clock.wall();
    this.#standing.put(key, { id, by, key, digest, expiresAt, run: { epoch, endsAt: Math.ceil(endsAt) } });
  }

  #forgetOver(): void {
    for (const found of this.#standing.list()) if (this.#isOver(found)) this.#standing.delete(found.key);
  }

  /** By either clock: one that is set back gives nobody more time. */
  #isOver({ expiresAt, run }: StandingApproval): boolean {
    const wall = Date.parse(expiresAt);
    const monotonic = run?.epoch === this.#clock.epoch ? run.endsAt : Infinity;
    return remaining(this.#clock, { wall, monotonic }) <= 0;
  }

  #amend(id: string, changes: Pick<ApprovalAsk, "title" | "lines" | "bound">): boolean {
    const pending = this.#pending.get(id);
    if (pending === undefined) return false;
    const ask = { ...pending.ask, ...changes };
    const { requestedAt, expiresAt } = pending.view;
    const view = { ...viewOf(id, ask, 0), requestedAt, expiresAt };
    this.#store(view, ask);
    // Only what could be shown and stored is asked.
    pending.ask = ask;
    pending.view = view;
    this.#tell();
    return true;
  }

  #store(view: PendingApproval, { grant, correlationId }: ApprovalAsk): void {
    this.#stored.put(view.id, { view, grant, correlationId });
  }

  #take(pending: Pending): void {
    clearTimeout(pending.timer);
    this.#pending.delete(pending.view.id);
    this.#tell();
  }

  #expire(id: string): void {
    const outcome = { decision: "expired", where: "time", expiresAt: null, reason: null } as const;
    this.#end(id, ["nobody decided in time", "approvals.time"], outcome);
  }

  #withdraw(id: string, why: string): void {
    const outcome = { decision: "withdrawn", where: "time", expiresAt: null, reason: why } as const;
    this.#end(id, [why, "approvals.withdrawn"], outcome);
  }

  #end(id: string, [why, rule]: readonly [string, RefusalRule], outcome: Omit<Outcome, "subject">): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#take(pending);
    pending.reject(refusal(pending.view, why, rule));
    const subject = this.#options.bridgeSubject;
    const recorded = this.#record(pending.view, pending.ask, { ...outcome, subject }).catch(
      (error: unknown) =>
        this.#options.log.error({ err: error, approval: id }, "a decision could not be recorded"),
    );
    this.#recording.add(recorded);
    void recorded.finally(() => this.#recording.delete(recorded));
  }

  async #drop({ view, grant, correlationId }: StoredApproval): Promise<void> {
    await this.#record(
      view,
      { grant, correlationId, shape: null },
      {
        decision: "withdrawn",
        where: "time",
        expiresAt: null,
        reason: "the bridge restarted",
        subject: this.#options.bridgeSubject,
      },
    );
  }

  async #record(
    view: PendingApproval,
    ask: Pick<ApprovalAsk, "grant" | "correlationId" | "shape">,
    { subject, ...outcome }: Outcome,
  ): Promise<void> {
    const { evidence, policyHash } = this.#options;
    const { shape } = ask;
    await evidence.append({
      type: "approval",
      correlationId: ask.correlationId,
      subject,
      machine: view.machine,
      grant: ask.grant,
      policyHash: policyHash(),
      approval: view.id,
      operation: view.operation,
      requestedBy: view.requestedBy,
      requestedAt: view.requestedAt,
      request: evidence.keyedDigest(view.digest),
      shape:
        shape === null || shape === "asker" || outcome.expiresAt === null
          ? null
          : evidence.keyedDigest(shape.of),
      ...outcome,
    });
    this.#stored.delete(view.id);
  }

  #get(id: string): Pending {
    const pending = this.#pending.get(id);
    if (pending !== undefined) return pending;
    throw new DoorwardError({
      code: "APPROVAL_NOT_FOUND",
      message: `Cannot decide "${id}": nothing of this id is pending${didYouMean(id, this.#pending.keys())}`,
      hint: "doorward action ls",
    });
  }

  #notify(view: PendingApproval): void {
    const { notifier, log } = this.#options;
    void notifier
      ?.notify(view.title, `doorward action ls; doorward action approve ${view.id}`)
      .catch((error: unknown) => log.debug({ err: error }, "no desktop notification"));
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
